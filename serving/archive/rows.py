"""Entries of the stream as Arrow tables, and tables as Parquet bytes."""

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving.archive.commits import SegmentKind

BUCKETS = 64

EVENTS = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("time", pa.int64(), nullable=False),  # ms since 1970, as the device said
        pa.field("product_id", pa.string()),
        pa.field("creator_id", pa.string()),
        pa.field("request_id", pa.string()),
        pa.field("position", pa.int32()),
        pa.field("watch_ms", pa.float64()),
        pa.field("value", pa.float64()),
        pa.field("session_id", pa.string()),
        pa.field("device_id", pa.string()),
        pa.field("arrived_ms", pa.int64(), nullable=False),  # ms since 1970, by our clock
    ]
)
SERVED = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),  # empty: anonymous
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),  # from 0
        pa.field("source", pa.string()),
        pa.field("propensity", pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("region", pa.string()),
        pa.field("surface", pa.string()),
        pa.field("bundle", pa.string()),
        pa.field("arrived_ms", pa.int64(), nullable=False),
    ]
)
REJECTED = pa.schema(
    [
        pa.field("entry", pa.string(), nullable=False),
        pa.field("fields", pa.binary(), nullable=False),  # JSON, as it came
        pa.field("fault", pa.string(), nullable=False),
    ]
)
SCHEMAS: Mapping[SegmentKind, pa.Schema] = {
    "events": EVENTS,
    "served": SERVED,
    "rejected": REJECTED,
}


class Entry(NamedTuple):
    """One entry of the stream: a batch of events, or a served page."""

    id: str
    fields: Mapping[bytes, bytes]


def tables(entries: Iterable[Entry]) -> dict[SegmentKind, pa.Table]:
    """Rows of all entries by kind; an entry that makes no sense is kept as it came."""
    parts: dict[SegmentKind, list[pa.Table]] = {kind: [] for kind in SCHEMAS}
    for entry in entries:
        try:
            kind, table = _table(entry)
        except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
            kind, table = "rejected", _rejected(entry, error)
        parts[kind].append(table)
    return {
        kind: pa.concat_tables(found).combine_chunks() for kind, found in parts.items() if found
    }


def to_parquet(table: pa.Table) -> bytes:
    """A table as one Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def from_parquet(data: bytes) -> pa.Table:
    """The inverse of `to_parquet`."""
    return pq.read_table(io.BytesIO(data))


def bucket_of(user_id: str) -> int:
    """Bucket of a user in [0, BUCKETS), the same everywhere and always."""
    digest = hashlib.blake2b(user_id.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") % BUCKETS


def by_bucket(table: pa.Table) -> dict[int, pa.Table]:
    """Split rows by their user's bucket, sorted by user and arrival."""
    users = table["user_id"].combine_chunks().dictionary_encode()
    codes = pa.array([bucket_of(user) for user in users.dictionary.to_pylist()], pa.int32())
    buckets = codes.take(users.indices)
    keyed = table.append_column("bucket", buckets).sort_by(
        [("bucket", "ascending"), ("user_id", "ascending"), ("arrived_ms", "ascending")]
    )
    found = keyed["bucket"]
    split = keyed.drop_columns("bucket")
    return {n: split.filter(pc.equal(found, n)) for n in sorted(set(buckets.to_pylist()))}


def of_user(table: pa.Table, user_id: str) -> pa.ChunkedArray:
    """Which rows are a user's; a rejected entry is, if it names the user anywhere."""
    if "user_id" in table.column_names:
        return pc.equal(table["user_id"], user_id)
    named = {user_id.encode().hex(), orjson.dumps(user_id)[1:-1].hex()}  # kept as hexadecimal text
    found = [any(name.encode() in row for name in named) for row in table["fields"].to_pylist()]
    return pa.chunked_array([pa.array(found, pa.bool_())])


def _table(entry: Entry) -> tuple[SegmentKind, pa.Table]:
    kind = entry.fields[b"kind"]
    rows = [orjson.loads(line) for line in entry.fields[b"body"].split(b"\n")]
    arrived_ms = int(entry.id.split("-", 1)[0])
    if kind == b"events":
        return "events", _typed(rows, EVENTS, {"arrived_ms": arrived_ms})
    if kind == b"served":
        shared = orjson.loads(entry.fields[b"header"]) | {"arrived_ms": arrived_ms}
        placed = [row | {"position": n} for n, row in enumerate(rows)]
        return "served", _typed(placed, SERVED, shared)
    raise ValueError(f"unknown kind {kind!r}")


def _typed(
    rows: Sequence[Mapping[str, Any]], schema: pa.Schema, shared: Mapping[str, Any]
) -> pa.Table:
    table = pa.Table.from_pylist([{**row, **shared} for row in rows], schema=schema)
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"{field.name} is missing")
    return table


def _rejected(entry: Entry, fault: Exception) -> pa.Table:
    fields = {key.decode(errors="replace"): value.hex() for key, value in entry.fields.items()}
    row = {"entry": entry.id, "fields": orjson.dumps(fields), "fault": str(fault)[:500]}
    return pa.Table.from_pylist([row], schema=REJECTED)
