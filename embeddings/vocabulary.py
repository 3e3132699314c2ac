"""Item ids and their rows."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np

from models.arrays import Rows


class Vocabulary:
    """N item ids in row order, found both ways; immutable."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        """Number the ids in their order.

        Raises:
            ValueError: an id stands twice; names the first such id and its rows.
        """
        self._ids = tuple(item_ids)
        self._rows = {item_id: row for row, item_id in enumerate(self._ids)}
        if len(self._rows) < len(self._ids):
            row, twice = next((r, i) for r, i in enumerate(self._ids) if self._rows[i] != r)
            raise ValueError(f"item_id {twice!r} stands in row {row} and row {self._rows[twice]}")

    def __len__(self) -> int:
        return len(self._ids)

    def row(self, item_id: str) -> int | None:
        """Return the row of an id, None if it is unknown."""
        return self._rows.get(item_id)

    def rows(self, item_ids: Iterable[str]) -> Rows:
        """Return the rows of ids, -1 where an id is unknown."""
        asked = list(item_ids)
        return np.fromiter(map(self._rows.get, asked, repeat(-1)), np.int64, len(asked))

    def item_id(self, row: int) -> str:
        """Return the id in a row.

        Raises:
            IndexError: no such row.
        """
        if not 0 <= row < len(self._ids):
            raise IndexError(f"row {row} is outside [0, {len(self._ids)})")
        return self._ids[row]
