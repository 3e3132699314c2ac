"""The items of one bundle and of the catalogue: kept up to date with the records' change feed.

What is slow (reading, the item tower) is prepared in a thread; what changes the feed is applied in
the thread that answers requests, so that each request sees one state from first to last.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from embeddings.content import Content, Contents, content_of
from embeddings.feed_model import FeedModel
from embeddings.live_model import Embedded, LiveModel
from models.bundle import BundleError
from serving.feed.facts import Facts, told_of
from serving.feed.shelf import Shelf, make_shelf
from serving.records.contracts import Catalogue, Stored
from serving.records.errors import RecordsError

log = logging.getLogger("tidegate.catalogue")

CHANGES = 200  # items a step
CARRIED = 500
LEARNING_S = 0.02
Rest = Callable[[float], None]
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


def no_rest(_s: float) -> None:
    """Go on at once."""


@dataclass(frozen=True)
class Described:
    """What is known of B items apart from their vectors: whatever bundle serves, it stays so.

    Attributes:
        content: from which vectors are computed. facts: [B] of the same items.
    """

    content: Content
    facts: Facts


@dataclass(frozen=True)
class Prepared:
    """Changes that may be applied.

    Attributes:
        changes: in their order.
        described: what they say of items that are not deleted.
        embedded: the same items by the towers of the bundle.
    """

    changes: Sequence[Stored]
    described: Described
    embedded: Embedded

    @property
    def deleted(self) -> list[str]:
        """Ids of the items that are gone."""
        return [stored.item.item_id for stored in self.changes if stored.deleted]

    @property
    def visibility_sequence(self) -> int:
        """Number of the newest visibility row of these items."""
        rows = (row for stored in self.changes for row in stored.statuses)
        return max((row.sequence for row in rows), default=0)


class LiveItems:
    """What the feed knows of items: the bundle's, and what the records say since."""

    def __init__(self, bundle: FeedModel, shelf: Shelf) -> None:
        """Know what the bundle knows.

        Args:
            bundle: whose items they are.
            shelf: of the bundle's items, changed from now on.
        """
        self.model = LiveModel(bundle)
        self.shelf = shelf
        self.sequence = 0  # of the newest catalogue change that is applied
        self._contents = Contents()
        self._deleted: set[str] = set()
        self._changing = threading.Lock()  # another bundle's items are told of these by a thread

    def prepare(self, catalogue: Catalogue) -> Prepared:
        """Read the next changes and run the item tower over them; from any thread.

        Raises:
            RecordsError: the records cannot be read.
            BundleError: the item tower cannot run on an item.
        """
        changes = catalogue.changes(self.sequence, CHANGES)
        items = [stored.item.model_dump(mode="json") for stored in changes if not stored.deleted]
        described = Described(content_of(items), told_of(items))
        return Prepared(changes, described, self.model.embed(described.content))

    def apply(self, prepared: Prepared) -> None:
        """Take the changes over; in the thread that asks the feed."""
        with self._changing:
            self._put(prepared.described, prepared.embedded)
            self._remove(prepared.deleted)
        if prepared.changes:
            self.sequence = prepared.changes[-1].sequence

    def catch_up(self, catalogue: Catalogue, rest: Rest = no_rest) -> None:
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

    def carry_over(self, other: "LiveItems", rest: Rest = no_rest) -> None:
        """Take over what another bundle's items are known by; before anyone asks.

        Each is embedded with this bundle's item tower, but neither read nor parsed again. What
        changes meanwhile is in the records past `sequence`, so `catch_up` finds it.

        Args:
            other: of the bundle that serves, which goes on changing.
            rest: called with the seconds that each step has taken.

        Raises:
            BundleError: the item tower cannot run on an item.
        """
        self.sequence, first = other.sequence, 0
        started_s = time.perf_counter()
        while (told := other.described(first, CARRIED)) is not None:
            self._put(told, self.model.embed(told.content))
            first += CARRIED
            rest(time.perf_counter() - started_s)
            started_s = time.perf_counter()
        with other._changing:
            deleted = list(other._deleted)
        self._remove(deleted)

    def described(self, first: int, count: int) -> Described | None:
        """What is known of `count` items of the records, from number `first` on; from any thread.

        Returns:
            None past the last item.
        """
        with self._changing:
            asked = self._contents.ids(first, count)
            if not asked:
                return None
            ids = [item_id for item_id in asked if item_id not in self._deleted]
            rows = self.model.vocabulary.rows(ids)
            return Described(self._contents.take(ids), self.shelf.facts.take(rows))

    def _put(self, told: Described, embedded: Embedded) -> None:
        ids = embedded.item_ids
        before = self.model.vocabulary.rows(ids)
        rows = self.model.put(embedded)
        self.shelf.facts.put_all(rows, told.facts)
        self._contents.put(told.content)
        self._deleted.difference_update(ids)
        moved = (before >= 0) & (before != rows)
        for old, new in zip(before[moved].tolist(), rows[moved].tolist(), strict=True):
            self.shelf.facts.remove(old)
            self.shelf.popular_rows[self.shelf.popular_rows == old] = new

    def _remove(self, item_ids: Sequence[str]) -> None:
        self._deleted.update(item_ids)
        for item_id in item_ids:
            if (row := self.model.remove(item_id)) is not None:
                self.shelf.facts.remove(row)


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


def shelf_of(bundle: FeedModel) -> Shelf:
    """What the feed looks up of a bundle's items."""
    return make_shelf(shelved(bundle), bundle.popularity)


def shelved(bundle: FeedModel) -> pa.Table:
    """What a bundle holds of its items, in row order: known, visible, published long ago."""
    return bundle.items.select([name for name in SHELVED if name in bundle.items.column_names])
