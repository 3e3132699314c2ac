"""The archiver at work: one process at a time, at its pace, through outages."""

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from redis.exceptions import RedisError

from serving.archive.archiver import Archiver, Stream
from serving.archive.commits import ArchiveError, quarantine
from serving.archive.compaction import compact
from serving.archive.store import ArchiveStore
from serving.records.errors import RecordsError

log = logging.getLogger("tidegate.archive")

INTERVAL_S = 5.0
LEASE_MS = 60_000  # longer than any one access to the store takes
RENEWAL_S = 5.0
LEASE_KEY = "archiver"
POLL_S = 0.25  # for erasures: somebody waits for them


class LeaseLostError(RedisError):
    """Another archiver works now."""


class ArchiverLease:
    """The right to archive a stream, kept by asking for it again and again.

    It keeps two archivers from doing the same work. That they never both succeed does not rest on
    it: their commit files would have the same name.
    """

    def __init__(self, client: Any, owner: str | None = None) -> None:
        """Ask for nothing yet.

        Args:
            client: of the state server.
            owner: who holds it; whoever comes back under this name goes on at once.
        """
        self._client = client
        self._token = (owner or secrets.token_hex(8)).encode()
        self._renewed_s = float("-inf")

    def held(self) -> bool:
        """Take or extend the lease; false while another process has it."""
        if self._client.get(LEASE_KEY) == self._token:
            return bool(self._client.set(LEASE_KEY, self._token, xx=True, px=LEASE_MS))
        return bool(self._client.set(LEASE_KEY, self._token, nx=True, px=LEASE_MS))

    def require(self) -> None:
        """Keep the lease through a long work.

        Raises:
            LeaseLostError: another process has it.
        """
        if time.monotonic() - self._renewed_s < RENEWAL_S:
            return
        if not self.held():
            raise LeaseLostError("another archiver works now")
        self._renewed_s = time.monotonic()

    def release(self) -> None:
        """Let another process take over at once."""
        if self._client.get(LEASE_KEY) == self._token:
            self._client.delete(LEASE_KEY)


def today() -> str:
    """The UTC day that is not over yet, ``2026-11-22``."""
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class LeasedStore:
    """An `ArchiveStore` that is touched only under the lease."""

    inner: ArchiveStore
    lease: ArchiverLease

    def put_new(self, name: str, data: bytes) -> None:
        """See `ArchiveStore.put_new`."""
        self.lease.require()
        self.inner.put_new(name, data)

    def read(self, name: str) -> bytes:
        """See `ArchiveStore.read`."""
        self.lease.require()
        return self.inner.read(name)

    def names(self, folder: str) -> list[str]:
        """See `ArchiveStore.names`."""
        return self.inner.names(folder)

    def delete(self, name: str) -> None:
        """See `ArchiveStore.delete`."""
        self.lease.require()
        self.inner.delete(name)


class Eraser(Protocol):
    """Removes users who left."""

    def waiting(self) -> bool:
        """Whether somebody asked to be erased."""

    def work_off(self, store: ArchiveStore, drain: Callable[[], None]) -> None:
        """Erase everyone who asked; `drain` archives all that the streams hold."""


@dataclass(frozen=True)
class Duties:
    """What one archiver looks after.

    Attributes:
        streams: all those that end in the store.
        eraser: None where nobody can be erased.
        day: the one that is not over yet.
    """

    streams: Sequence[Stream]
    store: ArchiveStore
    eraser: Eraser | None = None
    day: Callable[[], str] = field(default=today)


def run(
    lease: ArchiverLease, duties: Duties, stop: threading.Event, interval_s: float = INTERVAL_S
) -> None:
    """Archive until told to stop, compact the days that are over, and erase users who left.

    An unreachable state server, a full disk or another archiver's commit are waited out: what is
    not committed stays in its stream. All streams of a store share this one thread, because what
    one archiver has written but not committed looks like litter to the next one that starts. A
    damaged file is moved into quarantine and named; events are archived further, but nothing is
    deleted, compacted or erased before it is restored or given up.
    """
    rounds = Rounds(lease, duties)
    while not stop.is_set():
        try:
            if lease.held():
                rounds.once()
        except LeaseLostError:
            rounds = Rounds(lease, duties)
        except ArchiveError as error:
            log.error("archive: %s%s", error, _set_aside(duties.store, error))
            rounds = Rounds(lease, duties)
            stop.wait(interval_s)
        except (RedisError, RecordsError, OSError) as error:
            log.error("archiving waits: %s: %s", type(error).__name__, error)
            rounds = Rounds(lease, duties)  # where to go on is read from the archive again
            stop.wait(interval_s)
        else:
            _pause(duties.eraser, stop, interval_s)
    with contextlib.suppress(RedisError):  # else it ends by itself
        lease.release()


class Rounds:
    """What is done again and again while the lease is held."""

    def __init__(self, lease: ArchiverLease, duties: Duties) -> None:
        self._duties = duties
        self._store = LeasedStore(duties.store, lease)
        self._archivers: list[Archiver] = []
        self._compacted = ""

    def once(self) -> None:
        """Archive what has come, then erase and compact if there is cause."""
        self._drain()
        if self._duties.eraser is not None:
            self._duties.eraser.work_off(self._store, self._drain)
        if self._compacted != (day := self._duties.day()):
            compact(self._store, day)
            self._compacted = day

    def _drain(self) -> None:
        streams = self._duties.streams
        self._archivers = self._archivers or [Archiver(one, self._store) for one in streams]
        for archiver in self._archivers:
            archiver.drain()


def _set_aside(store: ArchiveStore, error: ArchiveError) -> str:
    return f"; set aside as {quarantine(store, error.damaged)}" if error.damaged else ""


def _pause(eraser: Eraser | None, stop: threading.Event, interval_s: float) -> None:
    deadline = time.monotonic() + interval_s
    while (left_s := deadline - time.monotonic()) > 0 and not stop.wait(min(left_s, POLL_S)):
        with contextlib.suppress(RecordsError):  # told by the next round
            if eraser is not None and eraser.waiting():
                return
