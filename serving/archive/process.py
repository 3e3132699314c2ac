"""The archiver as a process of its own: ``python -m serving.archive.process``.

It ends when its standard input does, so that it never outlives a launcher that was killed.
"""

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from secrets import token_hex

from redis import Redis

from serving.archive.archiver import RedisStream
from serving.archive.commits import ArchiveError
from serving.archive.store import open_store
from serving.archive.worker import ArchiverLease, run

log = logging.getLogger("tidegate.archive")

SOCKET_TIMEOUT_S = 30.0  # a step reads up to 200,000 events
STOP_LIMIT_S = 30.0
FIRST_RESTART_S, LAST_RESTART_S = 0.1, 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Archive until standard input ends; return the exit status."""
    line = argparse.ArgumentParser(prog="serving.archive.process", description=__doc__)
    line.add_argument("--url", action="append", required=True, help="of a state server; repeatable")
    line.add_argument("--archive", required=True, help="folder, or URL that fsspec knows")
    line.add_argument("--owner", required=True, help="of the lease; the same after a restart")
    line.add_argument("--interval-s", type=float, default=5.0)
    options = line.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the launcher, which ends us
    stop = threading.Event()
    threading.Thread(target=_until_input_ends, args=(stop,), daemon=True).start()
    clients = [Redis.from_url(url, socket_timeout=SOCKET_TIMEOUT_S) for url in options.url]
    lease = ArchiverLease(clients[0], options.owner)
    streams = [RedisStream(client) for client in clients]
    try:
        run(lease, streams, open_store(options.archive), stop, options.interval_s)
    except ArchiveError as error:
        log.error("cannot archive: %s", error)
        return 1
    return 0


class ArchiverProcess:
    """Runs the archiver beside the server, restarts it when it ends, and stops it."""

    def __init__(self, urls: Sequence[str], archive: str, interval_s: float) -> None:
        """Nothing starts yet.

        Args:
            urls: of every state server that holds a stream.
            archive: folder, or URL that fsspec knows.
            interval_s: seconds between two looks at the streams.
        """
        owner = token_hex(8)  # a restarted archiver goes on at once with the lease of the last
        self._command = [sys.executable, "-m", "serving.archive.process", "--archive", archive]
        self._command += ["--owner", owner, "--interval-s", str(interval_s)]
        for url in urls:
            self._command += ["--url", url]
        self._stopping = threading.Event()
        self._spawning = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="archiver", daemon=True)

    @property
    def process_id(self) -> int | None:
        """Of the archiver that runs now, None if none does."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the archiver."""
        self._spawn()
        self._watcher.start()

    def stop(self) -> None:
        """Let the archiver finish its step, then end it; the rest waits in the streams."""
        with self._spawning:
            self._stopping.set()
        if self._process is None:
            return
        _input_ended(self._process)
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._watcher.join()

    def _spawn(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command, stdin=subprocess.PIPE, start_new_session=True
        )

    def _watch(self) -> None:
        pause_s = FIRST_RESTART_S
        while self._process is not None:
            started = time.monotonic()
            status = self._process.wait()
            if self._stopping.is_set():
                return
            lived_s = time.monotonic() - started
            pause_s = (
                FIRST_RESTART_S if lived_s > LAST_RESTART_S else min(pause_s * 2, LAST_RESTART_S)
            )
            log.error("archiver ended with status %s; restart in %.1f s", status, pause_s)
            _input_ended(self._process)
            self._stopping.wait(pause_s)
            with self._spawning:
                if self._stopping.is_set():
                    return
                self._spawn()


def _until_input_ends(stop: threading.Event) -> None:
    while os.read(0, 1):
        pass
    stop.set()


def _input_ended(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None  # noqa: S101 - started with a pipe
    process.stdin.close()


if __name__ == "__main__":
    sys.exit(main())
