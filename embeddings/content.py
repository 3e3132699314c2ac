"""What items say of themselves as arrays: read once, embedded with the towers of every bundle."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embeddings.fresh import GrowingRows
from models.arrays import Rows, Vectors
from models.features import (
    NUMERIC_FEATURES,
    TOKENS_PER_ITEM,
    ItemFeatures,
    item_features,
)
from models.ranking_items import (
    KEYS,
    TRAITS,
    Keys,
    item_keys,
    item_traits,
)

TOKEN_TYPE = np.uint16  # holds every bucket of `hash_token`


@dataclass(frozen=True)
class Content:
    """Content of B items.

    Attributes:
        item_ids: [B]. features: what the item tower reads.
        keys: [B, len(KEYS)] and traits: [B, TRAITS], what the ranker reads.
    """

    item_ids: tuple[str, ...]
    features: ItemFeatures
    keys: Keys
    traits: Vectors

    def __len__(self) -> int:
        return len(self.item_ids)


def content_of(items: Sequence[Mapping[str, Any]]) -> Content:
    """Read records of the Item contract; every field but the id may be absent."""
    traits = np.zeros((len(items), TRAITS), np.float32)
    for n, item in enumerate(items):
        traits[n] = item_traits(item)
    ids = tuple(str(item["item_id"]) for item in items)
    return Content(ids, item_features(items), item_keys(items), traits)


class Contents:
    """The newest content of every item that was put."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._rows: dict[str, int] = {}
        self._ids: list[str] = []
        self._tokens = GrowingRows(TOKENS_PER_ITEM, TOKEN_TYPE)
        self._numeric = GrowingRows(len(NUMERIC_FEATURES))
        self._keys = GrowingRows(len(KEYS), np.int32)
        self._traits = GrowingRows(TRAITS)

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, content: Content) -> None:
        """Take content over, in the place of what was known of the same items."""
        for item_id in content.item_ids:
            if self._rows.setdefault(item_id, len(self._ids)) == len(self._ids):
                self._ids.append(item_id)
        rows = self._rows_of(content.item_ids)
        features = content.features
        self._tokens.put(rows, features.tokens.astype(TOKEN_TYPE))
        self._numeric.put(rows, features.numeric)
        self._keys.put(rows, content.keys)
        self._traits.put(rows, content.traits)

    def ids(self, first: int, count: int) -> list[str]:
        """At most `count` item ids, from the one that was put as number `first` on."""
        return self._ids[first : first + count]

    def take(self, item_ids: Sequence[str]) -> Content:
        """Return a copy of the content of items.

        Raises:
            KeyError: an item was never put.
        """
        rows = self._rows_of(item_ids)
        tokens = self._tokens.vectors[rows].astype(np.int64)
        features = ItemFeatures(tokens, self._numeric.vectors[rows])
        keys, traits = self._keys.vectors[rows], self._traits.vectors[rows]
        return Content(tuple(item_ids), features, keys, traits)

    def _rows_of(self, item_ids: Iterable[str]) -> Rows:
        return np.fromiter(map(self._rows.__getitem__, item_ids), np.int64)
