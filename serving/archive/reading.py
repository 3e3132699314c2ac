"""Reading the archive: all rows, or those of one user."""

import pyarrow as pa
import pyarrow.compute as pc

from serving.archive.commits import (
    ArchiveError,
    Segment,
    SegmentKind,
    check_whole,
    read_segment,
    view,
)
from serving.archive.rows import SCHEMAS, bucket_of, from_parquet, of_user
from serving.archive.store import ArchiveStore


def read_rows(store: ArchiveStore, kind: SegmentKind, user_id: str | None = None) -> pa.Table:
    """All archived rows of a kind, or a user's, in no order.

    Raises:
        ArchiveError: a file is missing or damaged, or lies in quarantine.
    """
    check_whole(store)
    try:
        return _read(store, kind, user_id)
    except ArchiveError:  # a compaction may have replaced files since the commits were read
        return _read(store, kind, user_id)


def count_rows(store: ArchiveStore, user_id: str) -> int:
    """How many rows of any kind the archive holds of a user.

    Raises:
        ArchiveError: a file is missing or damaged.
    """
    check_whole(store)
    segments = [segment for day in view(store) for segment in day.segments]
    return sum(held_rows(store, segment, user_id) for segment in segments)


def held_rows(store: ArchiveStore, segment: Segment, user_id: str) -> int:
    """How many rows of a segment are a user's; most files need not be opened for it."""
    if not _may_hold(segment, user_id):
        return 0
    rows = from_parquet(read_segment(store, segment))
    return int(pc.sum(of_user(rows, user_id)).as_py() or 0)


def _read(store: ArchiveStore, kind: SegmentKind, user_id: str | None) -> pa.Table:
    parts = [SCHEMAS[kind].empty_table()]
    for segment in (segment for day in view(store) for segment in day.segments):
        if segment.kind == kind and (user_id is None or _may_hold(segment, user_id)):
            rows = from_parquet(read_segment(store, segment))
            parts.append(rows if user_id is None else rows.filter(of_user(rows, user_id)))
    return pa.concat_tables(parts)


def _may_hold(segment: Segment, user_id: str) -> bool:
    return segment.bucket in (None, bucket_of(user_id))
