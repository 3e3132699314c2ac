"""A day's segments sorted into buckets of users, and the erasure of a user from them.

Both write a new generation of the day and then delete the old files. They hold one day in memory;
they run in the archiver's process, between its steps.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from serving.archive.archiver import write_segment
from serving.archive.commits import (
    BATCHES,
    START,
    DayCommit,
    DayView,
    Segment,
    check_whole,
    entry_order,
    read_segment,
    sweep,
    view,
    write_commit,
)
from serving.archive.reading import held_rows
from serving.archive.rows import SCHEMAS, by_bucket, from_parquet, of_user, to_parquet
from serving.archive.store import ArchiveStore


def compact(store: ArchiveStore, before_day: str) -> list[str]:
    """Sort every day before one into buckets, if batches came since; return the days changed.

    Raises:
        ArchiveError: a file is missing or damaged, or lies in quarantine.
    """
    check_whole(store)
    changed = [day for day in view(store) if day.day < before_day and day.batches]
    for day in changed:
        _replace(store, day, list(_regenerated(store, day, None)))
    if changed:
        sweep(store, view(store))
    return [day.day for day in changed]


def erase(store: ArchiveStore, user_id: str) -> None:
    """Remove every row of a user, from the files too.

    The caller drains the stream first. A rejected entry that names the user goes whole.

    Raises:
        ArchiveError: a file is missing or damaged, or lies in quarantine.
    """
    check_whole(store)
    for day in view(store):
        if any(held_rows(store, segment, user_id) for segment in day.segments):
            _replace(store, day, list(_regenerated(store, day, user_id)))
    sweep(store, view(store))


def _regenerated(store: ArchiveStore, day: DayView, erased: str | None) -> Iterator[Segment]:
    """Segments of the day's next generation; those that need no change are kept as they are."""
    for kind in SCHEMAS:
        parts = [segment for segment in day.segments if segment.kind == kind]
        if kind == "rejected" or all(part.bucket is not None for part in parts):
            for part in parts:
                yield from _without(store, day.day, part, erased)
        else:
            rows = _kept(_rows(store, parts), erased)
            for bucket, table in by_bucket(rows).items():
                yield write_segment(store, day.day, kind, to_parquet(table), len(table), bucket)


def _without(
    store: ArchiveStore, day: str, segment: Segment, erased: str | None
) -> Iterator[Segment]:
    if erased is None or not held_rows(store, segment, erased):
        yield segment
        return
    table = _kept(_rows(store, [segment]), erased)
    if len(table):
        data = to_parquet(table)
        yield write_segment(store, day, segment.kind, data, len(table), segment.bucket)


def _rows(store: ArchiveStore, segments: Iterable[Segment]) -> pa.Table:
    return pa.concat_tables(from_parquet(read_segment(store, segment)) for segment in segments)


def _kept(rows: pa.Table, erased: str | None) -> pa.Table:
    return rows if erased is None else rows.filter(pc.invert(of_user(rows, erased)))


def _replace(store: ArchiveStore, day: DayView, segments: Iterable[Segment]) -> None:
    before = day.compacted
    cursors = dict(before.cursors) if before else {}
    for batch in day.batches:
        known = cursors.get(batch.epoch, START)
        cursors[batch.epoch] = max(known, batch.last, key=entry_order)
    names = {*(before.batches if before else ()), *(batch.name for batch in day.batches)}
    batches = tuple(sorted(names.intersection(store.names(f"{BATCHES}/{day.day}"))))
    generation = before.generation + 1 if before else 1
    write_commit(store, DayCommit(day.day, generation, batches, cursors, tuple(segments)))
