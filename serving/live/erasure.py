"""Forgetting users in the online state, its append-only file included; by blocking clients."""

import time
from collections.abc import Collection
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from serving.live.event_stream import BARRED

USER_KEYS = ("recent", "shown", "region")
REWRITE_LIMIT_S = 60.0
POLL_S = 0.02
STEP_SUBJECTS = 1_000


class NotRewrittenError(RedisError):
    """The file still holds what was removed; the erasure is tried again."""


def bar(client: Redis, subjects: Collection[str]) -> None:
    """Let the state refuse whatever comes of these users from now on."""
    listed = sorted(subjects)
    for first in range(0, len(listed), STEP_SUBJECTS):
        client.sadd(BARRED, *listed[first : first + STEP_SUBJECTS])


def barred_count(client: Redis) -> int:
    """How many users the state refuses; it may have lost its disk."""
    return int(client.scard(BARRED))


def held_keys(client: Redis, user_id: str) -> int:
    """How many keys hold something of a user."""
    return int(client.exists(*_keys(user_id)))


def forget_user(client: Redis, user_id: str) -> None:
    """Remove what the state knows of a user, from its files too.

    Events still in the stream are the archiver's: it drains the stream first, then this rewrites
    the append-only file, which holds every command ever sent until it is rewritten.

    Raises:
        RedisError: the state does not answer, or did not finish rewriting its file.
    """
    client.unlink(*_keys(user_id))
    deadline = time.monotonic() + REWRITE_LIMIT_S
    kept_in_log = bool(_idle(client, deadline)["aof_enabled"])  # one under way began too early
    if kept_in_log:
        client.bgrewriteaof()
    else:
        client.bgsave()
    found = _idle(client, deadline)
    outcome = "aof_last_bgrewrite_status" if kept_in_log else "rdb_last_bgsave_status"
    if found[outcome] != "ok":
        raise NotRewrittenError("the state server could not rewrite its file")


def _keys(user_id: str) -> list[str]:
    return [f"{name}:{user_id}" for name in USER_KEYS]


def _idle(client: Redis, deadline: float) -> dict[str, Any]:
    busy = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
    while True:
        found: dict[str, Any] = client.info("persistence")
        if not any(found[name] for name in busy):
            return found
        if time.monotonic() > deadline:
            raise NotRewrittenError("the state server is still rewriting its file")
        time.sleep(POLL_S)
