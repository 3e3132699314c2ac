"""Online state on a server of the Redis protocol.

Keys: ``recent:<user id>`` and ``seen:<user id>``, lists with the newest first; an entry of
``recent`` is a JSON array in the field order of `Behaviour`.
"""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar, cast

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from serving.feed.contracts import Behaviour
from serving.live.state import (
    RECENT_EVENTS,
    SEEN_ITEMS,
    StateUnreachableError,
    UserEvent,
    UserState,
    is_impression,
)

Answer = TypeVar("Answer")


class RedisState:
    """See `OnlineState`; one pipeline a read, one transaction a write."""

    def __init__(self, url: str, read_timeout_s: float, write_timeout_s: float) -> None:
        """Connect at need.

        Args:
            url: ``redis://host:port/db`` or ``unix://path``.
            read_timeout_s: of one read.
            write_timeout_s: of one write.
        """
        self._reader = _client(url, read_timeout_s, retries=1)
        # A write that was sent may have been done: sending it again would append it twice.
        self._writer = _client(url, write_timeout_s, retries=0)

    async def read(self, user_id: str) -> UserState:
        """See `OnlineState.read`."""
        pipeline = self._reader.pipeline(transaction=False)
        pipeline.lrange(f"recent:{user_id}", 0, RECENT_EVENTS - 1)
        pipeline.lrange(f"seen:{user_id}", 0, SEEN_ITEMS - 1)
        recent, seen = await _answered(pipeline.execute())
        events = orjson.loads(b"[%s]" % b",".join(recent))
        return UserState(
            tuple(Behaviour(*event) for event in events), tuple(item.decode() for item in seen)
        )

    async def append(self, events: Sequence[UserEvent]) -> None:
        """See `OnlineState.append`."""
        recent: dict[str, list[bytes]] = {}
        seen: dict[str, list[bytes]] = {}
        for user_id, behaviour in events:
            if is_impression(behaviour):
                seen.setdefault(user_id, []).append(behaviour.item_id.encode())
            else:
                recent.setdefault(user_id, []).append(orjson.dumps(list(behaviour)))
        pipeline = self._writer.pipeline(transaction=True)
        for name, entries, limit in (
            ("recent", recent, RECENT_EVENTS),
            ("seen", seen, SEEN_ITEMS),
        ):
            for user_id, values in entries.items():
                pipeline.lpush(f"{name}:{user_id}", *values)
                pipeline.ltrim(f"{name}:{user_id}", 0, limit - 1)
        await _answered(pipeline.execute())

    async def reachable(self) -> bool:
        """See `OnlineState.reachable`."""
        try:
            await _answered(cast("Awaitable[bool]", self._reader.ping()))
        except StateUnreachableError:
            return False
        return True

    async def close(self) -> None:
        """See `OnlineState.close`."""
        await self._reader.aclose()
        await self._writer.aclose()


def _client(url: str, timeout_s: float, retries: int) -> Any:
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), retries),
    )


async def _answered(answer: Awaitable[Answer]) -> Answer:
    try:
        return await answer
    except (RedisError, OSError) as error:
        raise StateUnreachableError(f"{type(error).__name__}: {error}") from error
