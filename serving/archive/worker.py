"""The archiver at work: one process at a time, at its pace, through outages."""

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import RedisError

from serving.archive.archiver import Archiver, Stream
from serving.archive.compaction import compact
from serving.archive.store import ArchiveStore

log = logging.getLogger("tidegate.archive")

INTERVAL_S = 5.0
LEASE_MS = 60_000  # longer than a step takes, so that it does not end within one
LEASE_KEY = "archiver"


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

    def held(self) -> bool:
        """Take or extend the lease; false while another process has it."""
        if self._client.get(LEASE_KEY) == self._token:
            return bool(self._client.set(LEASE_KEY, self._token, xx=True, px=LEASE_MS))
        return bool(self._client.set(LEASE_KEY, self._token, nx=True, px=LEASE_MS))

    def release(self) -> None:
        """Let another process take over at once."""
        if self._client.get(LEASE_KEY) == self._token:
            self._client.delete(LEASE_KEY)


def today() -> str:
    """The UTC day that is not over yet, ``2026-11-22``."""
    return datetime.now(UTC).date().isoformat()


def run(
    lease: ArchiverLease,
    streams: Sequence[Stream],
    store: ArchiveStore,
    stop: threading.Event,
    interval_s: float = INTERVAL_S,
    day: Callable[[], str] = today,
) -> None:
    """Archive until told to stop, and compact the days that are over.

    An unreachable state server, a full disk or another archiver's commit are waited out: what is
    not committed stays in its stream. All streams of a store share this one thread, because what
    one archiver has written but not committed looks like litter to the next one that starts.

    Raises:
        ArchiveError: the archive is damaged; the message names the file.
    """
    archivers: list[Archiver] = []
    compacted = ""
    while not stop.is_set():
        try:
            if lease.held():
                archivers = archivers or [Archiver(stream, store) for stream in streams]
                for archiver in archivers:
                    while lease.held() and archiver.step():
                        pass
                if compacted != day():
                    compact(store, day())
                    compacted = day()
        except (RedisError, OSError) as error:
            log.error("archiving waits: %s: %s", type(error).__name__, error)
            archivers = []  # where to go on is read from the archive again
        stop.wait(interval_s)
    with contextlib.suppress(RedisError):  # else it ends by itself
        lease.release()
