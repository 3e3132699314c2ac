"""What a replica does for visibility while it runs: keep its lease, and work off the outbox."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serving.live.mirror import VisibilityMirror
from serving.live.state import StateUnreachableError
from serving.live.takedown import VisibilityLink, apply_everywhere, keep_lease
from serving.records.contracts import Visibility
from serving.records.errors import RecordsError

OUTBOX_INTERVAL_S = 1.0
ACTOR = "outbox"


@asynccontextmanager
async def replica(
    link: VisibilityLink, visibility: Visibility, mirror: VisibilityMirror
) -> AsyncIterator[None]:
    """Keep this process's mirror fresh and pending takedowns moving while the block runs."""
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    tasks = [
        asyncio.create_task(keep_lease(link, visibility, name, mirror)),
        asyncio.create_task(work_off(link, visibility)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(StateUnreachableError):  # else its lease ends by itself
            await link.leave(name)
        await link.close()


async def work_off(
    link: VisibilityLink, visibility: Visibility, interval_s: float = OUTBOX_INTERVAL_S
) -> None:
    """Carry takedowns that were answered "pending" to every replica, until cancelled."""
    while True:
        with contextlib.suppress(RecordsError):  # the records come back; the outbox waits there
            await settle_pending(link, visibility)
        await asyncio.sleep(interval_s)


async def settle_pending(link: VisibilityLink, visibility: Visibility) -> bool:
    """Carry what is in the outbox to every replica; return whether it is empty now."""
    waiting = await asyncio.to_thread(visibility.unsettled)
    if not waiting:
        return True
    newest = waiting[-1][0]
    if await apply_everywhere(link, visibility, newest) == "pending":
        return False
    await asyncio.to_thread(visibility.settle, ACTOR, newest)
    return True
