"""The archiver at work: one process at a time, at its pace, through outages."""

import logging
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import RedisError

from serving.archive.archiver import Archiver, RedisStream
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

    def __init__(self, client: Any) -> None:
        self._client = client
        self._token = secrets.token_hex(8).encode()

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
    client: Any,
    store: ArchiveStore,
    stop: threading.Event,
    interval_s: float = INTERVAL_S,
    day: Callable[[], str] = today,
) -> None:
    """Archive until told to stop, and compact the days that are over.

    An unreachable state server, a full disk or another archiver's commit are waited out: what is
    not committed stays in the stream.

    Raises:
        ArchiveError: the archive is damaged; the message names the file.
    """
    lease, compacted = ArchiverLease(client), ""
    archiver: Archiver | None = None
    while not stop.is_set():
        try:
            while lease.held():
                archiver = archiver or Archiver(RedisStream(client), store)
                if archiver.step() == 0:
                    break
            if archiver and compacted != day():
                compacted = day()
                compact(store, compacted)
        except (RedisError, OSError) as error:
            log.error("archiving waits: %s: %s", type(error).__name__, error)
            archiver = None  # where to go on is read from the archive again
        stop.wait(interval_s)
    lease.release()
