"""A replica's copy of what is counted: from the state's buckets onto the board of the engine."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from serving.feed.engine import FeedEngine
from serving.feed.signals import SignalBoard
from serving.feed.trends import Counted, Tally, hottest_rows, summed
from serving.live.counters import bucket_of, bucket_starts, read_bucket
from serving.live.state import StateUnreachableError

log = logging.getLogger("tidegate.trends")

LOOK_S = 0.5


@dataclass(frozen=True)
class Buckets:
    """Where counts stand.

    Attributes:
        client: of the state server of events.
        width_ms: of a bucket. kept: how many the state keeps.
    """

    client: object
    width_ms: int
    kept: int


class TrendKeeper:
    """Reads what was counted since the last look, and shows it to whatever serves."""

    def __init__(
        self,
        buckets: Buckets,
        serving: Callable[[], FeedEngine],
        clock_ms: Callable[[], int],
        interval_s: float,
    ) -> None:
        """Start without counts.

        Args:
            buckets: where counts stand.
            serving: the engine that answers now.
            clock_ms: the present moment.
            interval_s: between two readings.
        """
        self._buckets, self._serving, self._clock_ms = buckets, serving, clock_ms
        self._interval_s = interval_s
        self._tally = Tally(buckets.width_ms)
        self._folded_ms: int | None = None
        self._counted: Counted | None = None

    async def keep(self) -> None:
        """Read and show until cancelled; a swapped bundle is shown the counts at once."""
        shown: SignalBoard | None = None
        waited_s = self._interval_s
        while True:
            if waited_s >= self._interval_s:
                waited_s = 0.0
                try:
                    await self.read()
                    shown = None
                except StateUnreachableError as error:
                    log.warning("counts are not read: %s", error)
            board = self._serving().signals
            if board is not None and board is not shown:
                await self.show(self._serving())
                shown = board
            await asyncio.sleep(LOOK_S)
            waited_s += LOOK_S

    async def read(self) -> None:
        """Fold the buckets that have closed since the last look, and read the one that fills.

        Raises:
            StateUnreachableError: the state cannot be read now; nothing is lost.
        """
        buckets, now_ms = self._buckets, self._clock_ms()
        filling = bucket_of(now_ms, buckets.width_ms)
        window_ms = buckets.width_ms * (buckets.kept - 1)
        for start in bucket_starts(now_ms, window_ms, buckets.width_ms):
            if start < filling and (self._folded_ms is None or start > self._folded_ms):
                counts = await read_bucket(buckets.client, start)
                await asyncio.to_thread(self._tally.fold, counts)
                self._folded_ms = start
        counts = await read_bucket(buckets.client, filling)
        self._counted = await asyncio.to_thread(self._tally.counted, counts)

    async def show(self, engine: FeedEngine) -> None:
        """Put what is counted onto an engine's board."""
        if self._counted is None or engine.signals is None:
            return
        names, counted = engine.model.vocabulary, self._counted
        rows = await asyncio.to_thread(names.rows, counted.item_ids)
        trending = await asyncio.to_thread(hottest_rows, counted, rows)
        engine.signals.show(*summed(counted, rows, len(engine.shelf.facts)), trending)
