"""What a replica does for the exploration ladder: keep a copy of it, and decide if chosen."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from embeddings.live_model import LiveModel
from models.arrays import Rows
from serving.feed.audience import (
    NOTHING_OPEN,
    AudienceRules,
    LadderExploration,
    openings_of,
)
from serving.feed.exposure import LadderRules, Rungs, decided, first_budget
from serving.feed.facts import UNKNOWN
from serving.feed.shelf import Shelf
from serving.live.exposure import ExposureLadder, LadderCopy, Rung, rungs_of
from serving.live.mirror import VisibilityMirror
from serving.live.state import StateUnreachableError
from serving.records.status import ANY

log = logging.getLogger("tidegate.ladder")

KEPT_MS = 90 * 86_400_000  # of what is known of an item and of a creator
LEASES = 5  # looks that the deciding replica may miss
OPENED_AT_ONCE = 500


@dataclass(frozen=True)
class OfItems:
    """The items of one bundle as the ladder sees them."""

    model: LiveModel
    shelf: Shelf
    exploration: LadderExploration


@dataclass
class LadderKeeper:
    """Keeps the ladder of one replica.

    Attributes:
        ladder: of all replicas. match: how its places are filled.
        serving: the items that serve now. mirror: what may be shown.
        clock_ms: the present moment.
        interval_s: between two looks.
    """

    ladder: ExposureLadder
    rules: LadderRules
    match: AudienceRules
    serving: Callable[[], OfItems]
    mirror: VisibilityMirror
    clock_ms: Callable[[], int]
    interval_s: float
    name: str = field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    )

    def __post_init__(self) -> None:
        """Know nothing yet."""
        self._copy = LadderCopy(self.ladder)

    async def keep(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.look()
            except StateUnreachableError as error:
                # What cannot be reserved is not shown: no places for new items meanwhile.
                self.serving().exploration.show(NOTHING_OPEN, self.match)
                log.warning("the exploration ladder rests: %s", error)
            await asyncio.sleep(self.interval_s)

    async def look(self) -> None:
        """Take a copy of the ladder; decide, if this replica is the one that does.

        Raises:
            StateUnreachableError: the state cannot be read or written now.
        """
        items, now_ms = self.serving(), self.clock_ms()
        decides = await self.ladder.promotes(self.name, round(LEASES * self.interval_s * 1000))
        found = await self._copy.look(now_ms, evidence=decides)
        rows = items.model.vocabulary.rows(rung.item_id for rung in found)
        rungs = _with_codes(found, rows, items.shelf)
        vectors = items.model.retrieval_vectors[np.maximum(rows, 0)]
        viewers = items.exploration.viewers
        openings = await asyncio.to_thread(
            openings_of, rungs, rows, vectors, viewers, self.rules, now_ms
        )
        items.exploration.show(openings, self.match)
        if decides:
            if self.mirror.trusted(time.monotonic()):  # to an unread one all is visible
                await self._open(items, set(rungs.item_ids), now_ms)
            creators = dict(zip(rungs.item_ids, rows.tolist(), strict=True))
            for move in decided(rungs, self.rules, now_ms):
                creator_id = _creator(items.shelf, creators[move.item_id])
                await self.ladder.move(move, creator_id, now_ms)

    async def _open(self, items: OfItems, known: set[str], now_ms: int) -> None:
        new = self._new_items(items, known, now_ms)[:OPENED_AT_ONCE]
        standings = await self.ladder.standings([creator for _, creator, _ in new])
        for (item_id, creator_id, grade), standing in zip(new, standings, strict=True):
            budget = first_budget(grade, standing, self.rules)
            await self.ladder.open(item_id, creator_id, budget, now_ms)

    def _new_items(
        self, items: OfItems, known: set[str], now_ms: int
    ) -> list[tuple[str, str, str | None]]:
        """Id, creator and grade of unknown items that came lately and may be shown to everyone."""
        facts = items.shelf.facts
        age_ms = now_ms - facts.column("published_at_ms")
        fresh = (age_ms >= 0) & (age_ms < self.rules.lifetime_ms) & ~facts.column("removed")
        found = []
        for row in np.flatnonzero(fresh).tolist():
            if (item_id := items.model.vocabulary.item_id(row)) in known:
                continue
            creator_id = _creator(items.shelf, row)
            if self.mirror.status(item_id, creator_id, ANY, ANY) == "visible":
                grade = int(facts.column("shop_grade")[row])
                shop_grade = None if grade == UNKNOWN else facts.shop_grades.values[grade]
                found.append((item_id, creator_id, shop_grade))
        return found


def _with_codes(found: Sequence[Rung], rows: Rows, shelf: Shelf) -> Rungs:
    known = rows >= 0
    kinds = np.where(known, shelf.facts.column("kind")[np.where(known, rows, 0)], UNKNOWN)
    category = shelf.facts.column("category")[np.where(known, rows, 0)]
    return rungs_of(found, kinds, np.where(known, category, UNKNOWN))


def _creator(shelf: Shelf, row: int) -> str:
    return (shelf.creator_id(row) if row >= 0 else None) or ""
