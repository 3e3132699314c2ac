"""A bundle's model with the items that came or changed after it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.content import Content
from embeddings.feed_model import FeedModel, best_of_interests
from embeddings.fresh import FreshIndex, LayeredRows
from embeddings.ranker_model import Ranker, RankerTables
from embeddings.towers import run_item_tower, run_user_tower
from embeddings.vocabulary import Vocabulary
from models.arrays import Mask, Rows, Vectors
from models.features import HistoryBatch, history_vectors
from models.ranking_items import (
    Keys,
)

SAME = 1e-3  # relative; less is rounding, not another content


@dataclass(frozen=True)
class Embedded:
    """Vectors of B items.

    Attributes:
        item_ids: [B]. history: [B, H]. retrieval: [B, D].
        rank_keys: [B, len(KEYS)]. rank_halves: [B, W]; None where the bundle has no ranker.
    """

    item_ids: tuple[str, ...]
    history: Vectors
    retrieval: Vectors
    rank_keys: Keys | None = None
    rank_halves: Vectors | None = None


class LiveVocabulary:
    """Ids of the bundle's N items and of F later ones; an item that changed has a later row."""

    def __init__(self, base: Vocabulary) -> None:
        self._base = base
        self._late_rows: dict[str, int] = {}
        self._late_ids: list[str] = []

    def __len__(self) -> int:
        return len(self._base) + len(self._late_ids)

    def row(self, item_id: str) -> int | None:
        """Return the row of an id, None if it is unknown."""
        late = self._late_rows.get(item_id)
        return self._base.row(item_id) if late is None else late

    def rows(self, item_ids: Iterable[str]) -> Rows:
        """Return the rows of ids, -1 where an id is unknown."""
        asked = list(item_ids)
        rows = self._base.rows(asked)
        if self._late_rows:
            for n, item_id in enumerate(asked):
                rows[n] = self._late_rows.get(item_id, rows[n])
        return rows

    def item_id(self, row: int) -> str:
        """Return the id in a row.

        Raises:
            IndexError: no such row.
        """
        count = len(self._base)
        return self._base.item_id(row) if row < count else self._late_ids[row - count]

    def append(self, item_ids: Sequence[str]) -> None:
        """Give ids the next rows; an id that had one leaves it."""
        for item_id in item_ids:
            self._late_rows[item_id] = len(self)
            self._late_ids.append(item_id)


class LiveModel:
    """See `FeedModel`, whose towers it uses; `put` and `remove` change what it knows.

    Changed only by the thread that asks it, so that a request sees one state from first to last.
    """

    def __init__(self, bundle: FeedModel) -> None:
        self.bundle = bundle
        self.version = bundle.version
        self.vocabulary = LiveVocabulary(bundle.vocabulary)
        self.index = FreshIndex(bundle.index)
        self.retrieval_vectors = LayeredRows(bundle.retrieval_vectors)
        self.popularity = bundle.popularity
        self._history = LayeredRows(bundle.history_table)
        self.ranker, self._rank_tables = self._live_ranker(bundle.ranker)

    def interests(self, histories: HistoryBatch) -> Vectors:
        """Return the interest vectors [B, M, D] of B histories."""
        gathered = history_vectors(self._history, histories.rows)
        return run_user_tower(self.bundle.user_tower, gathered, histories)

    def retrieve(self, interests: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Vectors]:
        """See `FeedModel.retrieve`."""
        rows, scores = self.index.search(interests, k, allowed)
        return best_of_interests(rows, scores, k)

    def embed(self, content: Content) -> Embedded:
        """Return the vectors of items; those of the bundle keep what it learned of them."""
        ids, bundle = content.item_ids, self.bundle
        known = bundle.vocabulary.rows(ids)
        history, retrieval = run_item_tower(bundle.item_tower, content.features, known + 1)
        if bundle.ranker is None:
            return Embedded(ids, history, retrieval)
        halves = bundle.ranker.halves(content.traits, retrieval)
        return Embedded(ids, history, retrieval, content.keys, halves)

    def put(self, embedded: Embedded) -> Rows:
        """Let items be found by these vectors, and return their rows [B]."""
        rows = self.vocabulary.rows(embedded.item_ids).tolist()
        new = [n for n, row in enumerate(rows) if row < 0 or not self._kept(embedded, n, row)]
        if new:
            self._append(embedded, new)
        return self.vocabulary.rows(embedded.item_ids)

    def remove(self, item_id: str) -> int | None:
        """Never find an item again; return the row that it had, None if it is unknown."""
        row = self.vocabulary.row(item_id)
        if row is not None:
            self.index.remove(row)
        return row

    def _kept(self, embedded: Embedded, n: int, row: int) -> bool:
        """Whether an item keeps its row; a late one gets its new vectors there."""
        retrieval = embedded.retrieval[n]
        if (late := row - len(self.bundle.vocabulary)) >= 0:
            self.index.replace(row, retrieval)
            self.retrieval_vectors.fresh.vectors[late] = retrieval
            self._history.fresh.vectors[late] = embedded.history[n]
            for table, values in self._ranked(embedded):
                table.fresh.vectors[late] = values[n]
            return True
        if not self.index.gone[row] and _same(retrieval, self.bundle.retrieval_vectors[row]):
            return True
        self.index.remove(row)
        return False

    def _append(self, embedded: Embedded, new: list[int]) -> None:
        ids = [embedded.item_ids[n] for n in new]
        former = self.vocabulary.rows(ids)
        priors = np.where(former < 0, 0, self.popularity[np.maximum(former, 0)])
        self.popularity = np.concatenate([self.popularity, priors.astype(np.float32)])
        self.vocabulary.append(ids)
        self.retrieval_vectors.fresh.append(embedded.retrieval[new])
        self._history.fresh.append(embedded.history[new])
        for table, values in self._ranked(embedded):
            table.fresh.append(values[new])
        self.index.add(embedded.retrieval[new])

    def _live_ranker(self, ranker: Ranker | None) -> tuple[Ranker | None, list[LayeredRows]]:
        """The bundle's ranker over tables that later items are added to, and these tables."""
        if ranker is None:
            return None, []
        of = ranker.tables
        keys, halves = (LayeredRows(np.asarray(table)) for table in (of.keys, of.halves))
        tables = RankerTables(keys, halves, self._history, self.retrieval_vectors)
        return replace(ranker, tables=tables), [keys, halves]

    def _ranked(self, embedded: Embedded) -> list[tuple[LayeredRows, NDArray[Any]]]:
        """What the ranker's tables take of embedded items; nothing where there is no ranker."""
        values = (embedded.rank_keys, embedded.rank_halves)
        told = [value for value in values if value is not None]
        return list(zip(self._rank_tables, told, strict=True))


def _same(found: Vectors, expected: Vectors) -> bool:
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return float(np.abs(found - expected).max(initial=0)) <= SAME * scale
