"""The items of one bundle and of the catalogue: kept up to date with the records' change feed.

What is slow (reading, the item tower) is prepared in a thread; what changes the feed is applied in
the thread that answers requests, so that each request sees one state from first to last.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from embeddings.feed_model import FeedModel
from embeddings.live_model import Embedded, LiveModel
from models.bundle import BundleError
from serving.feed.facts import Facts
from serving.feed.shelf import Shelf, make_shelf
from serving.records.contracts import Catalogue, Stored
from serving.records.errors import RecordsError

log = logging.getLogger("tidegate.catalogue")

CHANGES = 200  # items a step
LEARNING_S = 0.02
SHELVED = (
    "kind",
    "product_ids",
    "creator_id",
    "category",
    "language",
    "regions",
    "duration_ms",
    "audience",
    "in_stock",
)


@dataclass(frozen=True)
class Prepared:
    """Changes that may be applied.

    Attributes:
        changes: in their order. embedded: those of them that are not deleted.
    """

    changes: Sequence[Stored]
    embedded: Embedded

    @property
    def visibility_sequence(self) -> int:
        """Number of the newest visibility row of these items."""
        rows = (row for stored in self.changes for row in stored.statuses)
        return max((row.sequence for row in rows), default=0)


class LiveItems:
    """What the feed knows of items: the bundle's, and what the records say since."""

    def __init__(self, bundle: FeedModel) -> None:
        self.model = LiveModel(bundle)
        self.shelf: Shelf = make_shelf(shelved(bundle), bundle.popularity)
        self.sequence = 0  # of the newest catalogue change that is applied

    def prepare(self, catalogue: Catalogue) -> Prepared:
        """Read the next changes and run the item tower over them; from any thread.

        Raises:
            RecordsError: the records cannot be read.
            BundleError: the item tower cannot run on an item.
        """
        changes = catalogue.changes(self.sequence, CHANGES)
        items = [stored.item.model_dump(mode="json") for stored in changes if not stored.deleted]
        return Prepared(changes, self.model.embed(items))

    def apply(self, prepared: Prepared) -> None:
        """Take the changes over; in the thread that asks the feed."""
        before = self.model.vocabulary.rows(prepared.embedded.item_ids)
        rows = self.model.put(prepared.embedded)
        place = dict(zip(prepared.embedded.item_ids, rows.tolist(), strict=True))
        for stored in sorted(prepared.changes, key=lambda one: place.get(one.item.item_id, -1)):
            self._apply(stored, place)
        for old, new in zip(before.tolist(), rows.tolist(), strict=True):
            if 0 <= old != new:
                self.shelf.facts.remove(old)
                self.shelf.popular_rows[self.shelf.popular_rows == old] = new
        if prepared.changes:
            self.sequence = prepared.changes[-1].sequence

    def catch_up(
        self, catalogue: Catalogue, rest: Callable[[float], None] = lambda _: None
    ) -> None:
        """Take over everything that the records hold; before anyone asks.

        Args:
            catalogue: whose items are embedded with this bundle's item tower.
            rest: called with the seconds that each step has taken.

        Raises:
            RecordsError: the records cannot be read.
            BundleError: the item tower cannot run on an item.
        """
        started_s = time.perf_counter()
        while (prepared := self.prepare(catalogue)).changes:
            self.apply(prepared)
            rest(time.perf_counter() - started_s)
            started_s = time.perf_counter()

    def _apply(self, stored: Stored, place: dict[str, int]) -> None:
        facts: Facts = self.shelf.facts
        if not stored.deleted:
            facts.put(place[stored.item.item_id], stored.item.model_dump(mode="json"))
        elif (row := self.model.remove(stored.item.item_id)) is not None:
            facts.remove(row)


async def follow_catalogue(
    serving: Callable[[], LiveItems],
    catalogue: Catalogue,
    learned: Callable[[], int],
    interval_s: float,
) -> None:
    """Keep whatever serves up to date until cancelled.

    Args:
        serving: the items of the bundle that serves now.
        catalogue: the records' change feed.
        learned: sequence number of visibility up to which this process knows what may be shown;
            an item is not found before its own visibility is known.
        interval_s: pause between two looks, when there was nothing new.
    """
    while True:
        try:
            items = serving()
            prepared = await asyncio.to_thread(items.prepare, catalogue)
            while learned() < prepared.visibility_sequence:
                await asyncio.sleep(LEARNING_S)
            items.apply(prepared)
            pause_s = 0.0 if prepared.changes else interval_s
        except (RecordsError, BundleError) as error:
            log.error("the catalogue is not followed: %s", error)
            pause_s = 1.0
        await asyncio.sleep(pause_s)


def shelved(bundle: FeedModel) -> pa.Table:
    """What a bundle holds of its items, in row order: known, visible, published long ago."""
    return bundle.items.select([name for name in SHELVED if name in bundle.items.column_names])
