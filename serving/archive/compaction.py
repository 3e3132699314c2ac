"""A day's segments sorted into buckets of users, and the erasure of a user from them.

Both write a new generation of the day and then delete the old files. They hold one day in memory;
they run in the archiver's process, between its steps.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from serving.archive.archiver import write_segment
from serving.archive.commits import (
    BATCHES,
    START,
    DayCommit,
    DayView,
    Segment,
    SegmentKind,
    entry_order,
    read_segment,
    sweep,
    view,
    write_commit,
)
from serving.archive.rows import (
    SCHEMAS,
    bucket_of,
    by_bucket,
    from_parquet,
    to_parquet,
    without_user,
)
from serving.archive.store import ArchiveStore


def compact(store: ArchiveStore, before_day: str) -> list[str]:
    """Sort every day before one into buckets, if batches came since; return the days changed."""
    changed = [day for day in view(store) if day.day < before_day and day.batches]
    for day in changed:
        _replace(store, day, list(_regenerated(store, day, None)))
    if changed:
        sweep(store, view(store))
    return [day.day for day in changed]


def erase(store: ArchiveStore, user_id: str) -> int:
    """Remove every row of a user, from the files too; return how many rows went.

    The caller drains the stream first. A rejected entry that names the user goes whole.
    """
    removed = 0
    for day in view(store):
        if any(_holds(store, segment, user_id) for segment in day.segments):
            kept = list(_regenerated(store, day, user_id))
            removed += sum(s.rows for s in day.segments) - sum(s.rows for s in kept)
            _replace(store, day, kept)
    sweep(store, view(store))
    return removed


def read_rows(store: ArchiveStore, kind: SegmentKind) -> pa.Table:
    """All archived rows of a kind, in no order.

    Raises:
        ArchiveError: a file is missing or damaged.
    """
    parts = [
        from_parquet(read_segment(store, segment))
        for day in view(store)
        for segment in day.segments
        if segment.kind == kind
    ]
    return pa.concat_tables(parts) if parts else SCHEMAS[kind].empty_table()


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
    if erased is None or not _holds(store, segment, erased):
        yield segment
        return
    table = _kept(_rows(store, [segment]), erased)
    if len(table):
        data = to_parquet(table)
        yield write_segment(store, day, segment.kind, data, len(table), segment.bucket)


def _holds(store: ArchiveStore, segment: Segment, user_id: str) -> bool:
    if segment.bucket not in (None, bucket_of(user_id)):
        return False
    return len(_kept(_rows(store, [segment]), user_id)) < segment.rows


def _rows(store: ArchiveStore, segments: Iterable[Segment]) -> pa.Table:
    return pa.concat_tables(from_parquet(read_segment(store, segment)) for segment in segments)


def _kept(rows: pa.Table, erased: str | None) -> pa.Table:
    if erased is None:
        return rows
    if "user_id" in rows.column_names:
        return without_user(rows, erased)
    named = erased.encode().hex().encode()  # a rejected entry is kept as hexadecimal text
    return rows.filter(pa.array([named not in fields for fields in rows["fields"].to_pylist()]))


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
