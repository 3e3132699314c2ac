"""What a replica does for visibility while it runs: keep its lease, and carry changes onwards."""

import asyncio
import contextlib
import os
import secrets
import socket
import time

from serving.live.mirror import VisibilityMirror
from serving.live.state import StateUnreachableError
from serving.live.takedown import VisibilityLink, apply_everywhere, keep_lease
from serving.records.contracts import Visibility
from serving.records.errors import RecordsError

CARRY_INTERVAL_S = 1.0
FIRST_READ_S, POLL_S = 3.0, 0.01
OUTBOX = "outbox"  # the actor of what nobody asked for again


async def hold_lease(
    link: VisibilityLink, visibility: Visibility, mirror: VisibilityMirror
) -> None:
    """Keep this process's mirror fresh until cancelled; then nobody need wait for it."""
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        await keep_lease(link, visibility, name, mirror)
    finally:
        with contextlib.suppress(StateUnreachableError):  # else its lease ends by itself
            await link.leave(name)
        await link.close()


async def first_read(mirror: VisibilityMirror, limit_s: float = FIRST_READ_S) -> None:
    """Wait until a mirror may be trusted, but not for ever: the state may be away."""
    deadline = time.monotonic() + limit_s
    while not mirror.trusted(time.monotonic()) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)


async def carry_changes(
    link: VisibilityLink, visibility: Visibility, interval_s: float = CARRY_INTERVAL_S
) -> None:
    """Bring the state up to the records again and again, until cancelled.

    So takedowns that were answered "pending" reach every replica, and so do changes by whoever
    wrote only to the records.
    """
    while True:
        with contextlib.suppress(RecordsError, StateUnreachableError):  # the rows wait
            await link.push(visibility)
            await settle_pending(link, visibility)
        await asyncio.sleep(interval_s)


async def settle_pending(link: VisibilityLink, visibility: Visibility) -> None:
    """Take out of the outbox what every replica has got."""
    waiting = await asyncio.to_thread(visibility.unsettled)
    if not waiting:
        return
    newest = waiting[-1][0]
    if await apply_everywhere(link, visibility, newest) == "done":
        await asyncio.to_thread(visibility.settle, OUTBOX, newest)
