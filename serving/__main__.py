"""The launcher: ``python -m serving`` starts state servers, archiver and the app on its host.

It ends with SIGINT or SIGTERM: what has begun is finished, then archiver and state stop.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

from configs.load import ConfigError
from configs.schema import AccessSection, ServingConfig
from embeddings.feed_model import KIND
from models.bundle import CURRENT, BundleError, current
from serving.app import Settings, open_state, read_settings
from serving.archive.process import ArchiverProcess
from serving.clock import now_ms
from serving.commands import add_commands, demo_key, run_command
from serving.feed_bundle import load_bundle
from serving.host_uvicorn import serve as serve_with_uvicorn
from serving.hot_swap import adopt_published
from serving.listeners import settled_listeners
from serving.live.state_files import StateServerError
from serving.live.supervisor import Fsync, StateServer
from serving.moderators import published_moderator
from serving.orphans import MARK, end_orphans, mark_of
from serving.ray_environment import ray_environment
from serving.records.errors import RecordsError
from serving.stores import migrate, open_stores

log = logging.getLogger("tidegate.launcher")

LAST_PORT = 65_535


class StartError(RuntimeError):
    """The server cannot start; the message says why and the way out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; return the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("tidegate").setLevel(logging.INFO)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupting(ended))
    try:
        options = parsed(arguments)
        if options.command is not None:
            return run_command(options, read_settings(options.config).serving)
        launch(options, ended)
    except KeyboardInterrupt:
        pass  # what has begun is finished
    except (ConfigError, BundleError, RecordsError, StartError, StateServerError) as error:
        log.error("cannot start: %s", error)
        return 1
    log.info("stopped")
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser("python -m serving", description="Serve the feed over HTTP.")
    parser.add_argument("--config", type=Path, default=Path("configs/serving.yaml"))
    parser.add_argument("--bundles", type=Path, help="folder of published bundles")
    parser.add_argument("--host", choices=("ray", "uvicorn"), default="ray")
    parser.add_argument("--port", type=_port, help="of HTTP; 0 = any free one")
    parser.add_argument("--demo", action="store_true", help="require a key, and print a new one")
    add_commands(parser)
    return parser.parse_args(arguments)


def interrupting(ended: threading.Event) -> Callable[[int, FrameType | None], None]:
    """Return a signal handler that raises and says so: a finalizer swallows what is raised."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        ended.set()
        raise KeyboardInterrupt

    return interrupt


def launch(options: argparse.Namespace, ended: threading.Event) -> None:
    """Check everything that can be checked, then serve until a signal."""
    settings = with_options(read_settings(options.config), options)
    check_access(settings.serving)
    check_bundle(settings)
    prepare_records(settings.serving, options.demo)
    http = settings.serving.http
    if orphans := end_orphans():
        log.warning("ended what a killed launcher left behind: processes %s", orphans)
    with bound(http.address, http.port, "--port") as listener, running_state(settings) as ready:
        if options.host == "uvicorn":
            serve_with_uvicorn(ready, listener, ended)
        else:
            port = listener.getsockname()[1]
            listener.close()
            serve_with_ray(on_port(ready, port), ended)


def with_options(settings: Settings, options: argparse.Namespace) -> Settings:
    """Lay the command line upon the configuration."""
    if options.port is not None:
        settings = on_port(settings, options.port)
    serving = settings.serving
    if options.bundles is not None:
        serving = serving.model_copy(update={"bundles": options.bundles.resolve()})
    if options.demo:
        serving = serving.model_copy(update={"access": AccessSection(required=True)})
    return replace(settings, serving=serving)


def on_port(settings: Settings, port: int) -> Settings:
    """The settings with another port of HTTP."""
    http = settings.serving.http.model_copy(update={"port": port})
    return replace(settings, serving=settings.serving.model_copy(update={"http": http}))


def check_access(serving: ServingConfig) -> None:
    """Other machines may only reach a server that asks for keys.

    Raises:
        StartError: it would listen on another address than loopback without keys.
    """
    address = serving.http.address
    if not serving.access.required and not ip_address(address).is_loopback:
        raise StartError(
            f"http.address = {address!r} is open to other machines: set access.required to true "
            "and create keys with `python -m serving keys create`"
        )


def check_bundle(settings: Settings) -> None:
    """Load the current bundle once here, where an error can still be read.

    Raises:
        StartError: none is published.
        BundleError: it is damaged or its parts disagree; names the file.
    """
    root = settings.serving.bundles
    if not (root / KIND / CURRENT).exists():
        raise StartError(
            f"{root / KIND} holds no published bundle; `make demo` trains and publishes one, "
            "`python -m training.publish --bundle FOLDER` publishes one of your own"
        )
    bundle = load_bundle(current(root, KIND), settings.rulebook.rules(None, None, now_ms()))
    model = bundle.engine.model
    log.info("bundle %s, %d items", model.version, len(model.vocabulary))
    if moderator := published_moderator(settings.serving):
        log.info("moderation bundle %s", moderator.model.version)


def prepare_records(serving: ServingConfig, demo: bool) -> None:
    """Bring the records up to date, before any replica opens them; in a demo print a key.

    Raises:
        ConfigError: the url is of no known kind, or a secret is too short or open to others.
        RecordsError: the database cannot be reached or read.
    """
    migrate(serving.records)
    with closing(open_stores(serving.records)) as stores:
        adopt_published(stores, serving.bundles)
        if demo:
            log.info("demo key: %s", demo_key(stores.keys))


@contextmanager
def running_state(settings: Settings) -> Iterator[Settings]:
    """Run the embedded state servers, unless a url names others, and the archiver of both.

    Yields:
        settings with their urls.
    """
    with ExitStack() as stack:
        section = settings.serving.state
        if section.url is None:
            urls = {"url": started_state(stack, section.folder / "log", section.port)}
            urls["live_url"] = started_state(
                stack, section.folder / "live", section.live_port, "everysec"
            )
            section = section.model_copy(update=urls)
        open_state(section)  # refuses a wrong url here, where it can still be read
        serving = settings.serving.model_copy(update={"state": section})
        start_archiver(stack, serving)
        yield replace(settings, serving=serving)


def started_state(stack: ExitStack, folder: Path, port: int, fsync: Fsync = "always") -> str:
    """Start a state server that ends with the stack; return its url."""
    server = StateServer(folder, port, fsync)
    server.start()
    stack.callback(server.stop)
    log.info("state server on %s, data in %s", server.url, folder)
    return server.url


def start_archiver(stack: ExitStack, serving: ServingConfig) -> None:
    """Start the archiver of every stream; it ends with the stack."""
    assert serving.state.url is not None  # noqa: S101 - given by the caller
    states = {"state": serving.state.url}
    if serving.state.live_url not in (None, serving.state.url):
        states["live_state"] = serving.state.live_url
    archive = serving.archive
    archiver = ArchiverProcess(states, archive.location, archive.interval_s, serving.records)
    archiver.start()
    stack.callback(archiver.stop)
    log.info("archive in %s", archive.location)


@contextmanager
def bound(address: str, port: int, setting: str) -> Iterator[socket.socket]:
    """Yield a bound socket.

    Raises:
        StartError: the port is taken or the address is not ours; names the setting to change.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError as error:
            raise StartError(
                f"port {port} on {address} cannot be used ({error.strerror}); stop what uses it, "
                f"or choose another with {setting}"
            ) from error
        yield listener


def serve_with_ray(settings: Settings, ended: threading.Event) -> None:
    """Serve in replicas of Ray Serve until a signal."""
    section, http = settings.serving.ray, settings.serving.http
    for name in ("stats_port", "metrics_port"):
        with bound("0.0.0.0", getattr(section, name), f"ray.{name}"):  # noqa: S104 - as Ray does
            pass
    os.environ.update(ray_environment(section) | {MARK: mark_of(os.getpid())})
    from serving import host_ray

    try:
        host_ray.start(settings)
        signal.signal(signal.SIGTERM, interrupting(ended))  # Ray has put its own in its place
        log.info("serving on http://%s:%s under Ray Serve", http.address, http.port)
        found = settled_listeners(os.getpid(), "haproxy")
        open_to_all = ", ".join(f"{one.port} ({one.program})" for one in found)
        log.info("other machines reach these ports, which Ray opened: %s", open_to_all)
        ended.wait()
    except RuntimeError as error:
        raise StartError(f"Ray Serve gave up: {error}") from error
    finally:
        host_ray.stop()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 to {LAST_PORT}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
