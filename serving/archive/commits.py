"""What the archive holds: commit files, and the view of the log that follows from them.

A batch of the stream is archived when its commit file exists. A day's commit replaces the batches
and the older generation that it names. Everything else in the folder is left over from a crash.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from serving.archive.store import PARTS, ArchiveStore, checksum

FORMAT = 1
BATCHES, DAYS, SEGMENTS = "commits/batches", "commits/days", "segments"
QUARANTINE = "quarantine"
START = "0-0"
SegmentKind = Literal["events", "served", "rejected"]


class ArchiveError(Exception):
    """A file of the archive that cannot be used; the message names it.

    Attributes:
        damaged: name of the file that is there and cannot be read; empty for none.
    """

    def __init__(self, message: str, damaged: str = "") -> None:
        super().__init__(message)
        self.damaged = damaged


@dataclass(frozen=True)
class Segment:
    """One immutable file of rows.

    Attributes:
        bucket: every row's user falls into it; None before compaction.
    """

    name: str
    kind: SegmentKind
    rows: int
    bytes: int
    sha256: str
    bucket: int | None = None


@dataclass(frozen=True)
class BatchCommit:
    """One stretch of the stream, first and last entry included.

    Attributes:
        epoch: of the stream: a stream that lost its disk begins another one.
        day: UTC day of all its entries, by arrival.
    """

    epoch: str
    first: str
    last: str
    day: str
    segments: tuple[Segment, ...]

    @property
    def name(self) -> str:
        """Its file; two archivers at the same place would want the same name."""
        return f"{BATCHES}/{self.day}/{self.epoch}.{sortable(self.first)}.json"


@dataclass(frozen=True)
class DayCommit:
    """One generation of a day.

    Attributes:
        batches: names of the batch commits that it replaces and that may still lie there.
        cursors: last entry of each epoch among them.
    """

    day: str
    generation: int
    batches: tuple[str, ...]
    cursors: Mapping[str, str]
    segments: tuple[Segment, ...]

    @property
    def name(self) -> str:
        """Its file."""
        return f"{DAYS}/{self.day}/{self.generation:06d}.json"


@dataclass(frozen=True)
class DayView:
    """What one day consists of now."""

    day: str
    compacted: DayCommit | None
    batches: tuple[BatchCommit, ...]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Every live segment of the day."""
        kept = self.compacted.segments if self.compacted else ()
        return kept + tuple(segment for batch in self.batches for segment in batch.segments)


def write_commit(store: ArchiveStore, commit: BatchCommit | DayCommit) -> None:
    """Make a commit true.

    Raises:
        FileExistsError: another archiver was faster; nothing changed.
    """
    body = json.dumps({"format": FORMAT, **asdict(commit)}, sort_keys=True)
    signed = json.dumps({"sha256": checksum(body.encode()), "commit": body})
    store.put_new(commit.name, signed.encode())


def view(store: ArchiveStore) -> list[DayView]:
    """The log as it stands, oldest day first.

    Raises:
        ArchiveError: a commit file is damaged.
    """
    batch_names = store.names(BATCHES)  # first: what is compacted meanwhile is then seen twice
    newest: dict[str, DayCommit] = {}
    for name in store.names(DAYS):  # generations sort by name: the last of a day wins
        commit = _read_day(store, name)
        newest[commit.day] = commit
    loose: dict[str, list[BatchCommit]] = {}
    covered = {name for commit in newest.values() for name in commit.batches}
    for name in batch_names:
        if name not in covered:
            batch = _read_batch(store, name)
            loose.setdefault(batch.day, []).append(batch)
    days = sorted({*newest, *loose})
    return [DayView(day, newest.get(day), tuple(loose.get(day, ()))) for day in days]


def cursor(days: Iterable[DayView], epoch: str) -> str:
    """The last archived entry of an epoch; ``0-0`` when there is none."""
    ends = [START]
    for day in days:
        ends += [batch.last for batch in day.batches if batch.epoch == epoch]
        if day.compacted and epoch in day.compacted.cursors:
            ends.append(day.compacted.cursors[epoch])
    return max(ends, key=entry_order)


def sweep(store: ArchiveStore, days: Iterable[DayView]) -> list[str]:
    """Delete what no live commit names; only the one running archiver may do this.

    Nothing is deleted while a damaged file waits to be restored: it may name the rest.
    """
    if store.names(QUARANTINE):
        return []
    live = {segment.name for day in days for segment in day.segments}
    for day in days:
        live |= {batch.name for batch in day.batches}
        live |= {day.compacted.name} if day.compacted else set()
    # Commits go before segments: a crash half-way must not leave a commit without its rows.
    dead = [name for name in store.names("commits") if name not in live]
    dead += [name for name in store.names(SEGMENTS) if name not in live] + store.names(PARTS)
    for name in sorted(dead, key=lambda name: (not name.startswith(BATCHES), name)):
        store.delete(name)
    return dead


def quarantine(store: ArchiveStore, name: str) -> str:
    """Move a damaged file aside, and return its name there."""
    aside = f"{QUARANTINE}/{name}"
    with contextlib.suppress(FileExistsError):  # a crash came between the two steps
        store.put_new(aside, store.read(name))
    store.delete(name)
    return aside


def check_whole(store: ArchiveStore) -> None:
    """Refuse to go by an archive of which a part is set aside.

    Raises:
        ArchiveError: names what lies in quarantine and the way out.
    """
    if aside := store.names(QUARANTINE):
        lost = aside[0].removeprefix(f"{QUARANTINE}/")
        raise ArchiveError(
            f"{aside[0]}: damaged and set aside ({len(aside)} in all); restore {lost} from a "
            "backup, then delete the damaged copy; deleting it alone gives up what it held"
        )


def read_segment(store: ArchiveStore, segment: Segment) -> bytes:
    """Bytes of a segment, checked.

    Raises:
        ArchiveError: it is missing or damaged.
    """
    try:
        data = store.read(segment.name)
    except FileNotFoundError as error:
        raise ArchiveError(f"{segment.name}: missing; restore it from a backup") from error
    if checksum(data) != segment.sha256:
        message = f"{segment.name}: damaged (checksum differs); restore it from a backup"
        raise ArchiveError(message, segment.name)
    return data


def entry_order(entry: str) -> tuple[int, int]:
    """Place of a stream entry ``<ms>-<n>`` in the order of arrival."""
    ms, n = entry.split("-")
    return int(ms), int(n)


def sortable(entry: str) -> str:
    """A stream entry's id, padded so that names sort by arrival."""
    ms, n = entry_order(entry)
    return f"{ms:015d}-{n:010d}"


def _read_batch(store: ArchiveStore, name: str) -> BatchCommit:
    values = _read(store, name)
    segments = tuple(Segment(**segment) for segment in values.pop("segments"))
    return BatchCommit(**values, segments=segments)


def _read_day(store: ArchiveStore, name: str) -> DayCommit:
    values = _read(store, name)
    segments = tuple(Segment(**segment) for segment in values.pop("segments"))
    return DayCommit(**{**values, "batches": tuple(values["batches"]), "segments": segments})


def _read(store: ArchiveStore, name: str) -> dict[str, Any]:
    try:
        signed = json.loads(store.read(name))
        body = signed["commit"]
        whole = checksum(body.encode()) == signed["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{name}: damaged commit file; restore it from a backup"
        raise ArchiveError(message, name) from error
    values = json.loads(body) if whole else {}
    if values.pop("format", None) != FORMAT:
        message = f"{name}: damaged, or not of format {FORMAT}; restore it from a backup"
        raise ArchiveError(message, name)
    return dict(values)
