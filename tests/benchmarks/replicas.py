"""Several launchers over one pair of state servers, one of them through a line that can be cut."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving.live.supervisor import StateServer
from tests.e2e.server import ROOT, START_LIMIT_S, STOP_LIMIT_S, free_ports


class Relay:
    """A TCP relay to a local port; cut, it closes every connection and accepts none."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._cut = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Lose the line."""
        self._cut.set()
        for end in list(self._open):
            _end(end)

    def mend(self) -> None:
        """Have it back."""
        self._cut.clear()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = None if self._cut.is_set() else _connected(self._target)
            if far is None:
                near.close()
                continue
            self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(1 << 16):
                other.sendall(data)
        except OSError:
            pass  # cut, or closed by the other direction
        for end in (one, other):
            _end(end)
            self._open.discard(end)


@dataclass(frozen=True)
class Replicas:
    """What runs.

    Attributes:
        ports: of HTTP, one a replica.
        log: state server of events. live: of pages and visibility.
        relays: the lines of the last replica to both.
        archive: folder that all archive into.
    """

    ports: list[int]
    log: StateServer
    live: StateServer
    relays: list[Relay]
    archive: Path


@contextmanager
def replicas(bundles: Path, folder: Path, count: int) -> Iterator[Replicas]:
    """Run `count` launchers under uvicorn; the last one reaches the state through relays."""
    ports = free_ports(count + 2)
    log = StateServer(folder / "state" / "log", ports[-1])
    live = StateServer(folder / "state" / "live", ports[-2], "everysec")
    with ExitStack() as stack:
        for server in (log, live):
            server.start()
            stack.callback(server.stop)
        relays = [Relay(ports[-1]), Relay(ports[-2])]
        for n, port in enumerate(ports[:count]):
            through = [relay.port for relay in relays] if n == count - 1 else ports[:-3:-1]
            _start(stack, bundles, folder, port, through)
        yield Replicas(ports[:count], log, live, relays, folder / "archive")


def _start(stack: ExitStack, bundles: Path, folder: Path, port: int, state: list[int]) -> None:
    settings = {
        "STATE__URL": f"redis://127.0.0.1:{state[0]}/0",
        "STATE__LIVE_URL": f"redis://127.0.0.1:{state[1]}/0",
        "ARCHIVE__LOCATION": str(folder / "archive"),
        "ARCHIVE__INTERVAL_S": "0.5",
        "LOG__FOLDER": str(folder / f"access-{port}"),
        "RECORDS__FOLDER": str(folder / "records"),
        "RECORDS__SECRETS": str(folder / "secrets"),
        "MEDIA__FOLDER": str(folder / "media"),
    }
    output = folder / f"output-{port}"
    command = [sys.executable, "-m", "serving", "--host", "uvicorn", "--port", str(port)]
    with output.open("wb") as written:
        process = subprocess.Popen(
            [*command, "--bundles", str(bundles)],
            cwd=ROOT,
            env=os.environ | {f"TIDEGATE__{key}": value for key, value in settings.items()},
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    stack.callback(process.wait, STOP_LIMIT_S)
    stack.callback(process.terminate)
    deadline = time.monotonic() + START_LIMIT_S
    while "serving on" not in output.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(output.read_text())
        time.sleep(0.1)


def _connected(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port))
    except OSError:  # nobody listens now
        return None


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # gone already
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
