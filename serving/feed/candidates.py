"""Candidates as a struct of arrays, and what is done to all of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors

SOURCES = ("interest", "popular", "request")
SOURCE_CODES = {name: code for code, name in enumerate(SOURCES)}


@dataclass(frozen=True)
class Candidates:
    """N items under consideration.

    Attributes:
        rows: [N] item rows, distinct after `merged`.
        sources: [N] codes of ``SOURCES``.
        scores: [N]; NaN until scored, or where the model gave none.
    """

    rows: Rows
    sources: NDArray[np.int8]
    scores: Vectors

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Rows | Mask) -> "Candidates":
        """Return the candidates at these positions, or where a mask is true."""
        return Candidates(self.rows[which], self.sources[which], self.scores[which])


def unscored(rows: Rows, source: str) -> Candidates:
    """Rows from one source, not scored yet."""
    count = len(rows)
    return Candidates(
        rows,
        np.full(count, SOURCE_CODES[source], np.int8),
        np.full(count, np.nan, np.float32),
    )


def merged(parts: Sequence[Candidates]) -> Candidates:
    """Join candidates; a row found twice keeps its first source."""
    rows = np.concatenate([part.rows for part in parts])
    _, first = np.unique(rows, return_index=True)
    joined = Candidates(
        rows,
        np.concatenate([part.sources for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
    return joined.take(np.sort(first))


def ranked(candidates: Candidates, scores: Vectors) -> Candidates:
    """Candidates with their scores, best first; NaN last, ties in their former order."""
    missing = np.isnan(scores)
    order = np.lexsort((np.where(missing, 0, -scores), missing))
    return replace(candidates, scores=scores).take(order)
