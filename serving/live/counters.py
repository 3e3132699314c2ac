"""Counters in time buckets: how often something happened in the last minutes or hours."""

from typing import Any

from serving.live.scripts import answered

SCAN_FIELDS = 2_000


def counter_field(event_type: str, region: str, item_id: str) -> str:
    """Name of what is counted."""
    return f"{event_type}:{region}:{item_id}"


def bucket_starts(now_ms: int, window_ms: int, bucket_ms: int) -> range:
    """Starts of the buckets that a window touches, oldest first; the newest is still filling."""
    newest = now_ms - now_ms % bucket_ms
    oldest = (now_ms - window_ms) - (now_ms - window_ms) % bucket_ms
    return range(oldest + bucket_ms, newest + bucket_ms, bucket_ms)


def bucket_of(now_ms: int, bucket_ms: int) -> int:
    """Start of the bucket that is filling."""
    return now_ms - now_ms % bucket_ms


async def read_bucket(client: Any, start_ms: int) -> dict[str, int]:
    """All counts of one bucket, by field; a part at a time, so that nobody waits for them.

    Raises:
        StateUnreachableError: the state cannot be read now.
    """
    found: dict[str, int] = {}
    cursor = 0
    while True:
        cursor, part = await answered(client.hscan(f"count:{start_ms}", cursor, count=SCAN_FIELDS))
        found |= {field.decode(): int(count) for field, count in part.items()}
        if cursor == 0:
            return found
