"""Child processes of the launcher: watched, started again when they end, and stopped."""

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("tidegate.launcher")

FIRST_RESTART_S = 0.1

Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Manner:
    """How a kind of process is handled.

    Attributes:
        name: in the log.
        end: asks it to end.
        stop_limit_s: how long it may take to; then it is killed.
        last_restart_s: longest pause before it is started again; the pauses double from
            `FIRST_RESTART_S`, anew when it lived longer than this.
    """

    name: str
    end: Callable[[Process], None]
    stop_limit_s: float
    last_restart_s: float


class WatchedProcess:
    """One process; may be started again after a stop."""

    def __init__(self, manner: Manner, spawn: Callable[[], Process]) -> None:
        """Nothing starts yet; `spawn` starts it, each time."""
        self._manner = manner
        self._spawn = spawn
        self._stopping = threading.Event()
        self._spawning = threading.Lock()
        self._watcher: threading.Thread | None = None
        self.process: Process | None = None

    @property
    def process_id(self) -> int | None:
        """Of the process that runs now, None if none does."""
        process = self.process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> Process:
        """Start the process; nobody watches it yet."""
        self._stopping.clear()
        self.process = self._spawn()
        return self.process

    def watch(self) -> None:
        """Start it again whenever it ends, until it is stopped."""
        self._watcher = threading.Thread(target=self._watch, name=self._manner.name, daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End the process. Does nothing when it was stopped already or never started."""
        with self._spawning:
            self._stopping.set()
        if self.process is not None:
            self._manner.end(self.process)
            try:
                self.process.wait(self._manner.stop_limit_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None

    def _watch(self) -> None:
        name, last_s = self._manner.name, self._manner.last_restart_s
        pause_s = FIRST_RESTART_S
        while self.process is not None:
            started_s = time.monotonic()
            status = self.process.wait()
            if self._stopping.is_set():
                return
            lived_s = time.monotonic() - started_s
            pause_s = FIRST_RESTART_S if lived_s > last_s else min(pause_s * 2, last_s)
            log.error("%s ended with status %s; restart in %.1f s", name, status, pause_s)
            if self.process.stdin is not None:
                self.process.stdin.close()
            self._stopping.wait(pause_s)
            with self._spawning:
                if self._stopping.is_set():
                    return
                self.process = self._spawn()


def alive(process_id: int) -> bool:
    """Whether a process runs; one that has ended and only waits for its parent does not."""
    if process_id <= 0:
        return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True  # without /proc nobody can tell
    return state != "Z"
