"""The archiver as a process of its own: ``python -m serving.archive.process``.

Its settings are the first line of its standard input: they hold passwords, which a command line
would show to everyone. It ends when its input does, so that it never outlives a launcher that was
killed.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from secrets import token_hex
from typing import Any

from redis import Redis

from configs.load import ConfigError
from configs.schema import RecordsSection
from serving.archive.archiver import RedisStream
from serving.archive.store import open_store
from serving.archive.worker import ArchiverLease, Duties, run
from serving.child_process import Manner, Process, WatchedProcess
from serving.erasure import StoreEraser
from serving.records.errors import RecordsError
from serving.stores import open_stores

log = logging.getLogger("tidegate.archive")

SOCKET_TIMEOUT_S = 30.0  # a step reads up to 200,000 events
STOP_LIMIT_S = 30.0
LAST_RESTART_S = 30.0


@dataclass(frozen=True)
class ArchiverSettings:
    """What an archiver is to do; plain values.

    Attributes:
        states: url of every state server that holds a stream, by its name on receipts.
        archive: folder, or URL that fsspec knows.
        interval_s: seconds between two looks at the streams.
        records: section of the configuration, where users ask to be erased; None without.
        owner: of the lease; a restarted archiver goes on at once with that of the last.
    """

    states: dict[str, str]
    archive: str
    interval_s: float
    records: dict[str, Any] | None
    owner: str


def main() -> int:
    """Archive until standard input ends; return the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the launcher, which ends us
    with open(0, "rb", buffering=0, closefd=False) as told:  # nothing is read ahead of the line
        settings = ArchiverSettings(**json.loads(told.readline()))
    stop = threading.Event()
    threading.Thread(target=_until_input_ends, args=(stop,), daemon=True).start()
    try:
        archive_until(stop, settings)
    except (ConfigError, RecordsError) as error:
        log.error("cannot archive: %s", error)
        return 1
    return 0


def archive_until(stop: threading.Event, settings: ArchiverSettings) -> None:
    """Archive until told to stop.

    Raises:
        ConfigError: the records' url or secrets cannot be used.
        CorruptStore: the records' file cannot be read; it was set aside.
    """
    clients = {
        name: Redis.from_url(url, socket_timeout=SOCKET_TIMEOUT_S)
        for name, url in settings.states.items()
    }
    lease = ArchiverLease(next(iter(clients.values())), settings.owner)
    streams = [RedisStream(client) for client in clients.values()]
    store = open_store(settings.archive)
    if settings.records is None:
        run(lease, Duties(streams, store), stop, settings.interval_s)
        return
    with closing(open_stores(RecordsSection.model_validate(settings.records))) as stores:
        eraser = StoreEraser(stores.erasures, clients)
        run(lease, Duties(streams, store, eraser), stop, settings.interval_s)


class ArchiverProcess:
    """Runs the archiver beside the server, restarts it when it ends, and stops it."""

    def __init__(
        self,
        states: Mapping[str, str],
        archive: str,
        interval_s: float,
        records: RecordsSection | None = None,
    ) -> None:
        """Nothing starts yet; see `ArchiverSettings`."""
        section = None if records is None else records.model_dump(mode="json")
        settings = ArchiverSettings(dict(states), archive, interval_s, section, token_hex(8))
        self._told = json.dumps(asdict(settings)).encode() + b"\n"
        manner = Manner("archiver", _input_ended, STOP_LIMIT_S, LAST_RESTART_S)
        self._child = WatchedProcess(manner, self._spawn)

    @property
    def process_id(self) -> int | None:
        """Of the archiver that runs now, None if none does."""
        return self._child.process_id

    def start(self) -> None:
        """Start the archiver."""
        self._child.start()
        self._child.watch()

    def stop(self) -> None:
        """Let the archiver finish its step, then end it; the rest waits in the streams."""
        self._child.stop()

    def _spawn(self) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.archive.process"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - started with a pipe
        with contextlib.suppress(BrokenPipeError):  # it has ended already; it will be restarted
            process.stdin.write(self._told)
            process.stdin.flush()
        return process


def _until_input_ends(stop: threading.Event) -> None:
    while os.read(0, 1):
        pass
    stop.set()


def _input_ended(process: Process) -> None:
    assert process.stdin is not None  # noqa: S101 - started with a pipe
    process.stdin.close()


if __name__ == "__main__":
    sys.exit(main())
