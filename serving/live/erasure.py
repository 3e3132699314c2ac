"""Forgetting a user in the online state, its append-only file included."""

import asyncio
import time
from typing import Any

from serving.live.scripts import answered
from serving.live.state import StateUnreachableError

USER_KEYS = ("recent", "shown", "seen")
REWRITE_LIMIT_S = 60.0
POLL_S = 0.02


async def forget_user(client: Any, user_id: str) -> int:
    """Remove what the state knows of a user; return the number of keys.

    Events still in the stream are the archiver's: it drains the stream first, then this rewrites
    the append-only file, which holds every command ever sent until it is rewritten.

    Raises:
        StateUnreachableError: the state does not answer, or did not finish rewriting its file.
    """
    gone: int = await answered(client.unlink(*(f"{name}:{user_id}" for name in USER_KEYS)))
    await rewrite_file(client)
    return gone


async def rewrite_file(client: Any) -> None:
    """Rewrite the append-only file and wait until the old one is gone.

    Raises:
        StateUnreachableError: it failed or took longer than a minute.
    """
    deadline = time.monotonic() + REWRITE_LIMIT_S
    await _idle(client, deadline)  # one that runs already began before the removal
    await answered(client.bgrewriteaof())
    persistence = await _idle(client, deadline)
    if persistence["aof_last_bgrewrite_status"] != "ok":
        raise StateUnreachableError("the state server could not rewrite its append-only file")


async def _idle(client: Any, deadline: float) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = await answered(client.info("persistence"))
        if not (found["aof_rewrite_in_progress"] or found["aof_rewrite_scheduled"]):
            return found
        if time.monotonic() > deadline:
            raise StateUnreachableError("the state server is still rewriting its file")
        await asyncio.sleep(POLL_S)
