"""Candidates as a struct of arrays, and what is done to all of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors

# Of two sources of the same item the one further left names it.
SOURCES = (
    "pinned",
    "exploration",
    "followed",
    "interest",
    "similar",
    "trending",
    "popular",
    "request",
)
SOURCE_CODES = {name: code for code, name in enumerate(SOURCES)}
CERTAIN = 1.0  # propensity of what no chance decided


@dataclass(frozen=True)
class Candidates:
    """N items under consideration.

    Attributes:
        rows: [N] item rows, distinct after `merged`.
        sources: [N] codes of ``SOURCES``.
        scores: [N]; NaN until scored, or where the model gave none.
        propensity: [N] in (0, 1], probability with which the item was drawn; 1 if by no chance.
        reserve: [N] true where the item is shown at the expense of its exposure budget.
    """

    rows: Rows
    sources: NDArray[np.int8]
    scores: Vectors
    propensity: Vectors
    reserve: Mask

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Rows | Mask) -> "Candidates":
        """Return the candidates at these positions, or where a mask is true."""
        return Candidates(
            self.rows[which],
            self.sources[which],
            self.scores[which],
            self.propensity[which],
            self.reserve[which],
        )


def unscored(rows: Rows, source: str) -> Candidates:
    """Rows from one source, not scored yet, found by no chance."""
    count = len(rows)
    return Candidates(
        rows,
        np.full(count, SOURCE_CODES[source], np.int8),
        np.full(count, np.nan, np.float32),
        np.full(count, CERTAIN, np.float32),
        np.zeros(count, bool),
    )


def drawn(rows: Rows, propensity: Vectors) -> Candidates:
    """Rows of the exploration ladder, drawn with these probabilities."""
    reserve = np.ones(len(rows), bool)
    return replace(unscored(rows, "exploration"), propensity=propensity, reserve=reserve)


def joined(parts: Sequence[Candidates]) -> Candidates:
    """All candidates of all parts, one part after the other."""
    return Candidates(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.sources for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.propensity for part in parts]),
        np.concatenate([part.reserve for part in parts]),
    )


def merged(parts: Sequence[Candidates]) -> Candidates:
    """Join candidates; a row found twice keeps its first source."""
    everything = joined(parts)
    _, first = np.unique(everything.rows, return_index=True)
    return everything if len(first) == len(everything) else everything.take(np.sort(first))


def among(rows: Rows, members: Rows) -> Mask:
    """True where a row [N] is one of the members [M], none of them below 0.

    As `numpy.isin`, which takes several times as long over so few to find out how to do it.
    """
    if not len(rows) or not len(members):
        return np.zeros(len(rows), bool)
    table = np.zeros(max(int(rows.max()), int(members.max())) + 1, bool)
    table[members] = True
    found: Mask = table[rows]
    return found
