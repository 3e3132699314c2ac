"""Moves the stream into the archive: nothing lost, nothing twice, whatever is killed when.

One step is: read past the cursor, write segments, write the commit file, trim the stream. Killed
before the commit file exists, the next run reads the same entries again and the segments are
litter; killed after it, the cursor stands behind them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from serving.archive.commits import (
    SEGMENTS,
    START,
    BatchCommit,
    Segment,
    SegmentKind,
    cursor,
    entry_order,
    sweep,
    view,
    write_commit,
)
from serving.archive.rows import Entry, tables, to_parquet
from serving.archive.store import ArchiveStore, checksum

STEP_ENTRIES = 400  # batches and pages; about 200,000 events at most


class Stream(Protocol):
    """The stream of events, as its one reader sees it."""

    def epoch(self) -> str:
        """Name of this life of the stream; made when there is none."""

    def read(self, after: str, count: int) -> list[Entry]:
        """At most `count` entries past one, oldest first."""

    def newest(self) -> str:
        """The last entry; ``0-0`` when there is none."""

    def trim(self, through: str) -> None:
        """Forget entries up to one, itself included."""


@dataclass(frozen=True)
class RedisStream:
    """``Stream`` on a blocking client of the state server."""

    client: Any
    name: str = "events"

    def epoch(self) -> str:
        """See `Stream.epoch`."""
        key = f"{self.name}:epoch"
        self.client.set(key, secrets.token_hex(8), nx=True)
        return str(self.client.get(key).decode())

    def read(self, after: str, count: int) -> list[Entry]:
        """See `Stream.read`."""
        found = self.client.xrange(self.name, f"({after}", "+", count=count)
        return [Entry(entry.decode(), fields) for entry, fields in found]

    def newest(self) -> str:
        """See `Stream.newest`."""
        found = self.client.xrevrange(self.name, count=1)
        return str(found[0][0].decode()) if found else START

    def trim(self, through: str) -> None:
        """See `Stream.trim`."""
        ms, n = through.split("-")
        self.client.xtrim(self.name, minid=f"{ms}-{int(n) + 1}", approximate=False)


class Archiver:
    """The one archiver of a stream and a store."""

    def __init__(self, stream: Stream, store: ArchiveStore) -> None:
        """Clean up after a crash and find the place to go on from.

        Raises:
            ArchiveError: the archive is damaged; the message names the file.
        """
        self._stream, self._store = stream, store
        sweep(store, view(store))
        self._epoch = stream.epoch()
        self._cursor = self._resumed()

    def step(self) -> int:
        """Archive one stretch of the stream; return its number of entries, 0 when it is empty.

        Raises:
            FileExistsError: a second archiver runs on the same store.
        """
        self._follow()
        entries = one_day(self._stream.read(self._cursor, STEP_ENTRIES))
        if not entries:
            return 0
        first, last = entries[0].id, entries[-1].id
        day = day_of(first)
        found = tables(entries)
        segments = tuple(
            write_segment(self._store, day, kind, to_parquet(table), len(table))
            for kind, table in found.items()
        )
        write_commit(self._store, BatchCommit(self._epoch, first, last, day, segments))
        self._cursor = last
        self._stream.trim(last)
        return len(entries)

    def drain(self) -> int:
        """Archive all that the stream holds now; return the number of entries."""
        self._follow()
        newest, total = self._stream.newest(), 0
        while entry_order(self._cursor) < entry_order(newest) and (count := self.step()):
            total += count
        return total

    def _follow(self) -> None:
        if (epoch := self._stream.epoch()) != self._epoch:
            self._epoch = epoch  # the stream lost its disk and counts anew
            self._cursor = self._resumed()

    def _resumed(self) -> str:
        archived = cursor(view(self._store), self._epoch)
        self._stream.trim(archived)
        return archived


def one_day(entries: Sequence[Entry]) -> list[Entry]:
    """The entries up to the first midnight (UTC) among them: a commit lies in one day."""
    return [entry for entry in entries if day_of(entry.id) == day_of(entries[0].id)]


def day_of(entry: str) -> str:
    """UTC day of an entry's arrival, ``2026-11-22``."""
    return datetime.fromtimestamp(int(entry.split("-", 1)[0]) / 1000, UTC).date().isoformat()


def write_segment(
    store: ArchiveStore,
    day: str,
    kind: SegmentKind,
    data: bytes,
    rows: int,
    bucket: int | None = None,
) -> Segment:
    """Store rows under a name of their own; they count once a commit names them."""
    place = "loose" if bucket is None else f"{bucket:02d}"
    name = f"{SEGMENTS}/{day}/{kind}-{place}-{secrets.token_hex(8)}.parquet"
    store.put_new(name, data)
    return Segment(name, kind, rows, len(data), checksum(data), bucket)
