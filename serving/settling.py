"""The checks of items at work: claims what waits, judges it, applies the verdict, begins again.

The work list is in the records. A process that dies loses its claims after a while, and whoever
lives takes them over; a verdict that comes too late is on a version that is no longer current, or
says again what was said.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from configs.prices import Prices, load_prices
from models.canonical import TextError
from serving.api.metrics import Metrics
from serving.clock import now_ms
from serving.media import path_of
from serving.moderation.picture_formats import MediaError
from serving.moderation.settling import Facts, Judges, judged, not_judged
from serving.records.contracts import Catalogue
from serving.records.errors import NotFound, RecordsError
from serving.records.moderation import Checks, Claim, Settled

log = logging.getLogger("tidegate.moderation")

ACTOR = "moderation"
AT_ONCE = 8
LEASE_MS = 15_000  # of a claim; what a process that died had claimed waits so long
RENEWED_EVERY_S = 5.0
ATTEMPTS = 4
FIRST_DELAY_MS = 2_000  # before the second attempt; doubled for each further one
MEASURED_EVERY_S = 5.0


@dataclass(frozen=True)
class Settling:
    """What the checks of items need.

    Attributes:
        desk: the one that judges now. media: folder of uploaded files.
        tell: lets the feeds know at once.
        poll_s: pause between two looks at an empty list.
        prices: limits of prices, by region.
        renewed_every_s: pause between two renewals of what is claimed.
    """

    checks: Checks
    catalogue: Catalogue
    desk: Callable[[], Judges]
    media: Path
    tell: Callable[[], Awaitable[None]]
    metrics: Metrics
    poll_s: float
    prices: Prices = field(default_factory=load_prices)
    renewed_every_s: float = RENEWED_EVERY_S

    async def run(self) -> None:
        """Settle what waits, until cancelled."""
        while True:
            try:
                pause_s = 0.0 if await self.step() else self.poll_s
            except RecordsError as error:
                log.error("no items are checked: %s", error)
                pause_s = 1.0
            await asyncio.sleep(pause_s)

    async def step(self) -> int:
        """Settle some of what is due; how many.

        Raises:
            RecordsError: the records cannot be reached; what was claimed comes up again.
        """
        claims = await asyncio.to_thread(self.checks.claim, ACTOR, AT_ONCE, LEASE_MS)
        unsettled = list(claims)
        holding = asyncio.create_task(self._hold(unsettled))
        try:
            for claim in claims:
                await self._settle(claim)
                unsettled.remove(claim)
                await self.tell()
        finally:
            holding.cancel()
        return len(claims)

    async def _hold(self, claims: list[Claim]) -> None:
        """Renew claims, a list that shrinks meanwhile, until cancelled."""
        while True:
            await asyncio.sleep(self.renewed_every_s)
            try:
                await asyncio.to_thread(self.checks.renew, ACTOR, tuple(claims), LEASE_MS)
            except RecordsError as error:
                log.warning("claims on checks are not renewed: %s", error)

    async def measure(self) -> None:
        """Keep the gauges of the work list true, until cancelled."""
        while True:
            try:
                backlog = await asyncio.to_thread(self.checks.backlog)
                self.metrics.checks_waiting.labels("new").set(backlog.waiting)
                self.metrics.checks_waiting.labels("background").set(backlog.background)
                since_ms = backlog.oldest_ms or now_ms()
                self.metrics.checks_oldest.set(max(0, now_ms() - since_ms) / 1000)
            except RecordsError as error:
                log.error("the work list of checks cannot be read: %s", error)
            await asyncio.sleep(MEASURED_EVERY_S)

    async def _settle(self, claim: Claim) -> None:
        if claim.attempts > ATTEMPTS:  # what ends every process that claims it must end none more
            settled: Settled | None = self._unread(claim, f"never judged in {ATTEMPTS} attempts")
        else:
            settled = await self._judged(claim)
        if settled is None:
            return
        if await asyncio.to_thread(self.checks.settle, ACTOR, settled):
            self.metrics.checks.labels(settled.suggestion).inc()
            self.metrics.check_seconds.observe(max(0, now_ms() - claim.queued_at_ms) / 1000)

    async def _judged(self, claim: Claim) -> Settled | None:
        """What becomes of a version; None where nothing does, or not yet."""
        try:
            stored = await asyncio.to_thread(self.catalogue.get, claim.item_id)
            prices = await asyncio.to_thread(self.catalogue.price_history, claim.item_id)
            facts = Facts(prices, self._file, self.prices, now_ms())
            return await judged(stored.item, stored.content_version, self.desk(), facts)
        except NotFound:
            return None  # deleted since; nothing waits for it
        except (TextError, MediaError) as error:
            return self._unread(claim, str(error))
        except RecordsError:
            raise
        except Exception as error:  # whatever a model raises must not end the checks of others
            log.exception("item %s was not judged, attempt %d", claim.item_id, claim.attempts)
            if claim.attempts < ATTEMPTS:
                delay_ms = FIRST_DELAY_MS << (claim.attempts - 1)
                fault = repr(error)
                await asyncio.to_thread(self.checks.postpone, ACTOR, claim, fault, delay_ms)
                return None
            return self._unread(claim, repr(error))

    async def _file(self, sha256: str) -> bytes:
        return await asyncio.to_thread(path_of(self.media, sha256).read_bytes)

    def _unread(self, claim: Claim, fault: str) -> Settled:
        policy = self.desk().moderator.policies.default
        return not_judged(claim.item_id, claim.content_version, fault, policy)
