"""Online state on one or two servers of the Redis protocol; `EventStream` and `Pages` name keys."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from serving.feed.contracts import Behaviour
from serving.live.event_stream import Appended, EventStream, LoggedEvent, StreamLimits
from serving.live.pages import CommittedPage, Impression, PageDraft, Pages
from serving.live.scripts import answered
from serving.live.state import (
    RECENT_EVENTS,
    StateFullError,
    StateUnreachableError,
    UserState,
)
from serving.live.wire import open_wire, state_client


@dataclass(frozen=True)
class DiskReserve:
    """Space that events leave free: a server that syncs each write ends when a write fails.

    Attributes:
        folder: on the disk; nothing is checked while it is not there.
        limit_bytes: must be free before a batch is written.
    """

    folder: Path
    limit_bytes: int

    def check(self) -> None:
        """Raises: StateFullError: less is free."""
        try:
            disk = os.statvfs(self.folder)
        except FileNotFoundError:  # the servers are not ours
            return
        free_bytes = disk.f_bavail * disk.f_frsize
        if free_bytes < self.limit_bytes:
            raise StateFullError(f"{self.folder}: {free_bytes} bytes free of {self.limit_bytes}")


class RedisState:
    """See `OnlineState`; one round trip a read, one a page, at most two a batch."""

    def __init__(
        self,
        log_url: str,
        live_url: str,
        read_timeout_s: float,
        write_timeout_s: float,
        reserve: DiskReserve | None = None,
    ) -> None:
        """Connect at need.

        Args:
            log_url: of the server of events, ``redis://host:port/db`` or ``unix://path``.
            live_url: of the server of pages; may be the same.
            read_timeout_s: of one read, and of committing a page.
            write_timeout_s: of one batch.
            reserve: what must stay free of the disk of embedded servers.
        """
        limits = StreamLimits()
        self._reserve = reserve
        self._log = open_wire(log_url, read_timeout_s, retries=1)
        self._live = open_wire(live_url, read_timeout_s, retries=1)
        # What was sent may have been done: a page sent again would be logged twice.
        self._committing = open_wire(live_url, read_timeout_s)
        self._writing = state_client(log_url, write_timeout_s)
        self._noting = state_client(live_url, write_timeout_s)
        self._stream = EventStream(self._writing, limits)
        self._pages = Pages(self._committing, limits)
        self._notes = Pages(self._noting, limits)

    async def read(self, user_id: str, now_ms: int) -> UserState:
        """See `OnlineState.read`."""
        recent, shown = await asyncio.gather(
            answered(
                self._log.execute_command("LRANGE", f"recent:{user_id}", 0, RECENT_EVENTS - 1)
            ),
            answered(
                self._live.execute_command(
                    "ZRANGEBYSCORE", f"shown:{user_id}", f"({now_ms}", "+inf"
                )
            ),
        )
        events = orjson.loads(b"[%s]" % b",".join(recent))
        return UserState(
            tuple([Behaviour(*event) for event in events]),
            tuple([item.decode() for item in shown]),
        )

    async def append(
        self, events: Sequence[LoggedEvent], impressions: Sequence[Impression], now_ms: int
    ) -> Appended:
        """See `OnlineState.append`."""
        if self._reserve is not None:
            self._reserve.check()
        done = await self._stream.append(events, now_ms)
        await self._notes.note(impressions, now_ms)
        return done

    async def commit(self, draft: PageDraft, now_ms: int) -> CommittedPage:
        """See `OnlineState.commit`."""
        return await self._pages.commit(draft, now_ms)

    async def regions(self, user_ids: Sequence[str]) -> list[str]:
        """See `OnlineState.regions`."""
        keys = [f"region:{user_id}" for user_id in user_ids]
        found = await answered(self._live.execute_command("MGET", *keys)) if keys else ()
        return [(region or b"").decode() for region in found]

    async def reachable(self) -> bool:
        """See `OnlineState.reachable`."""
        try:
            await asyncio.gather(
                *(answered(wire.execute_command("PING")) for wire in (self._log, self._live))
            )
        except StateUnreachableError:
            return False
        return True

    async def close(self) -> None:
        """See `OnlineState.close`."""
        for client in (self._log, self._live, self._committing, self._writing, self._noting):
            await client.aclose()
