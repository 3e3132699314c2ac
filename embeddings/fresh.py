"""Items that came after the bundle: a flat delta with tombstones beside the bundle's index."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from embeddings.index import ItemIndex, best_positions, checked_queries
from models.arrays import Mask, Rows, Vectors

FIRST_ROWS = 256
SPARE_RESULTS = 500  # up to so many tombstones asking for more is faster than a bitmap


class GrowingRows:
    """[F, D] values that are appended to; the room doubles when it is full."""

    def __init__(self, dimensions: int, dtype: DTypeLike = np.float32) -> None:
        self._room: NDArray[Any] = np.zeros((FIRST_ROWS, dimensions), dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def vectors(self) -> NDArray[Any]:
        """[F, D], a view; good until the next `append`."""
        return self._room[: self._count]

    def append(self, vectors: NDArray[Any]) -> None:
        """Add rows at the end."""
        count = self._count + len(vectors)
        if count > len(self._room):
            size = max(count, 2 * len(self._room))
            room = np.zeros((size, self._room.shape[1]), self._room.dtype)
            room[: self._count] = self.vectors
            self._room = room
        self._room[self._count : count] = vectors
        self._count = count

    def put(self, rows: Rows, vectors: NDArray[Any]) -> None:
        """Write values [B, D] into rows [B]; those past the last are added, none left out."""
        last = int(rows.max(initial=-1))
        if last >= self._count:
            self.append(np.zeros((last + 1 - self._count, self._room.shape[1]), self._room.dtype))
        self._room[rows] = vectors


class LayeredRows:
    """[N + F, D]: rows of a table that does not change, and rows that came later."""

    def __init__(self, base: NDArray[Any]) -> None:
        self._base = np.asarray(base)  # a plain view: each gather from a memmap makes another one
        self.fresh = GrowingRows(base.shape[1], base.dtype)

    def __len__(self) -> int:
        return len(self._base) + len(self.fresh)

    def __getitem__(self, rows: Rows) -> NDArray[Any]:
        """Return the values [..., D] of rows [...], as an array does."""
        count = len(self._base)
        late = rows >= count
        if not len(self.fresh) or not late.any():
            return self._base.take(rows, axis=0)  # copies whole rows, unlike indexing
        found = self._base.take(np.where(late, 0, rows), axis=0)
        found[late] = self.fresh.vectors[rows[late] - count]
        return found


class FreshIndex:
    """An `ItemIndex` over a read-only one of N items and F items added later.

    Rows of added items follow those of the base. A removed row is never found and never given to
    another item. Not to be changed while it searches: the server does both in one thread.
    """

    def __init__(self, base: ItemIndex) -> None:
        self._base = base
        self._fresh = GrowingRows(base.dimensions)
        self._gone = np.zeros(len(base), bool)
        self._base_gone = 0

    def __len__(self) -> int:
        return len(self._base) + len(self._fresh)

    @property
    def dimensions(self) -> int:
        """D."""
        return self._base.dimensions

    @property
    def gone(self) -> Mask:
        """[N + F], true where a row was removed."""
        return self._gone

    def add(self, vectors: Vectors) -> Rows:
        """Add vectors [B, D] and return their rows [B].

        Raises:
            ValueError: D differs, or a vector is not finite.
        """
        self._check(vectors)
        first = len(self)
        self._fresh.append(vectors)
        self._gone = np.concatenate([self._gone, np.zeros(len(vectors), bool)])
        return np.arange(first, len(self))

    def replace(self, row: int, vector: Vectors) -> None:
        """Give an added row another vector [D]; a removed one is found again.

        Raises:
            ValueError: the row is the base's or nobody's, or the vector does not fit.
        """
        self._check(vector[None])
        if not len(self._base) <= row < len(self):
            raise ValueError(f"row {row} is not one of those added ({len(self._base)} and later)")
        self._fresh.vectors[row - len(self._base)] = vector
        self._gone[row] = False

    def remove(self, row: int) -> None:
        """Never find a row again, unless it is replaced.

        Raises:
            ValueError: there is no such row.
        """
        if not 0 <= row < len(self):
            raise ValueError(f"row {row} is not among the {len(self)} rows")
        self._base_gone += int(row < len(self._base) and not self._gone[row])
        self._gone[row] = True

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Rows, Vectors]:
        """See `ItemIndex.search`; of equal scores the base's row comes first."""
        queries = checked_queries(self, queries, k, allowed)
        rows, scores = self._search_base(queries, k, allowed)
        if not len(self._fresh) and rows.shape[1] == k:
            return rows, scores
        if len(self._fresh):
            late_rows, late_scores = self._search_fresh(queries, k, allowed)
            rows = np.concatenate([rows, late_rows], axis=1)
            scores = np.concatenate([scores, late_scores], axis=1)
        return _best(rows, scores, k)

    def _search_base(self, queries: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Vectors]:
        count = len(self._base)
        gone = self._gone[:count]
        if allowed is not None:
            return self._base.search(queries, k, allowed[:count] & ~gone)
        if self._base_gone > SPARE_RESULTS:
            return self._base.search(queries, k, ~gone)
        rows, scores = self._base.search(queries, k + self._base_gone)
        if self._base_gone:
            removed = gone[rows] & (rows >= 0)
            rows, scores = np.where(removed, -1, rows), np.where(removed, -np.inf, scores)
        return rows, scores

    def _search_fresh(self, queries: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Vectors]:
        count = len(self._base)
        open_rows = ~self._gone[count:]
        if allowed is not None:
            open_rows &= allowed[count:]
        scores = queries @ self._fresh.vectors.T
        scores[:, ~open_rows] = -np.inf
        rows = np.full((len(queries), min(k, len(self._fresh))), -1, np.int64)
        for b, of_query in enumerate(scores):
            best = best_positions(of_query, rows.shape[1])
            rows[b] = np.where(open_rows[best], best, -1)
        found = np.take_along_axis(scores, np.maximum(rows, 0), axis=1)
        return np.where(rows < 0, -1, rows + count), np.where(rows < 0, -np.inf, found)

    def _check(self, vectors: Vectors) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.dimensions:
            raise ValueError(f"vectors are {vectors.shape}, the index has D = {self.dimensions}")
        if not np.isfinite(vectors).all():
            raise ValueError("a vector holds NaN or infinite values")


def _best(rows: Rows, scores: Vectors, k: int) -> tuple[Rows, Vectors]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return (
        np.take_along_axis(rows, order, axis=1),
        np.take_along_axis(scores, order, axis=1).astype(np.float32),
    )
