"""Small builders of Arrow columns that several datasets share."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from training.datasets.interactions import EVENTS


def events_table(
    users: Sequence[Any],
    items: Sequence[Any],
    times_ms: Sequence[int],
    types: Sequence[str],
    *,
    split: str = "log",
    weights: Sequence[float] | None = None,
) -> pa.Table:
    """Events of equal-length columns, with no watch time known."""
    count = len(users)
    columns = {
        "user_id": pa.array(map(str, users), pa.string()),
        "item_id": pa.array(map(str, items), pa.string()),
        "time": pa.array(times_ms, pa.int64()),
        "type": pa.array(types, pa.string()),
        "weight": pa.array([1.0] * count if weights is None else weights, pa.float32()),
        "duration_ms": pa.nulls(count, pa.float32()),
        "watch_ms": pa.nulls(count, pa.float32()),
        "split": pa.repeat(split, count),
    }
    return pa.table(columns).cast(EVENTS)


def days_to_ms(day: str) -> int:
    """Milliseconds since 1970 of an ISO date, in UTC."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)
