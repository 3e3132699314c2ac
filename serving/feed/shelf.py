"""What the feed looks up about items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors
from serving.feed.facts import UNKNOWN, Facts, facts_of

POPULAR_DEPTH = 5_000  # more than a page with everything a user may have seen or excluded
NO_CREATOR = UNKNOWN


@dataclass(frozen=True)
class Shelf:
    """Facts of N items in row order.

    Attributes:
        facts: columns that change with the catalogue.
        popular_rows: at most POPULAR_DEPTH rows, most popular first.
        creator_tail: [C] of each creator, the share of all popularity that more popular ones hold;
            those who came later have none.
    """

    facts: Facts
    popular_rows: Rows
    creator_tail: Vectors

    def copied(self) -> "Shelf":
        """Return a shelf that is alike and may change apart from this one."""
        return replace(self, facts=self.facts.copied(), popular_rows=self.popular_rows.copy())

    @property
    def creator_codes(self) -> NDArray[np.int32]:
        """[N] index into `creators`; NO_CREATOR where none is known."""
        return self.facts.column("creator")

    @property
    def creators(self) -> Sequence[str]:
        """Distinct creator ids."""
        return self.facts.creators.values

    @property
    def duration_ms(self) -> Vectors:
        """[N], NaN where not known."""
        return self.facts.column("duration_ms")

    def small_creators(self, rows: Rows, tail: float) -> Mask:
        """True where an item [K] is of one of the creators who hold the last share of popularity.

        A creator whom the bundle does not know is one of them.
        """
        codes = self.creator_codes[rows]
        known = (codes >= 0) & (codes < len(self.creator_tail))
        shares = np.where(known, self.creator_tail[np.where(known, codes, 0)], 1.0)
        small: Mask = (codes != NO_CREATOR) & (shares >= 1 - tail)
        return small

    def creator_id(self, row: int) -> str | None:
        """Return the creator of a row, None if it has none."""
        code = self.creator_codes[row]
        return None if code == NO_CREATOR else self.creators[code]

    def creator_ids(self, rows: Rows) -> list[str | None]:
        """Return the creators of rows [K], None where an item has none."""
        names, codes = self.creators, self.creator_codes[rows].tolist()
        return [None if code == NO_CREATOR else names[code] for code in codes]


def make_shelf(items: pa.Table, popularity: Vectors) -> Shelf:
    """Take over the facts and sort the popular items; of equal popularity the lower row first.

    Args:
        items: N items of the Item contract; every column may be absent.
        popularity: [N].
    """
    order = np.argsort(-popularity, kind="stable")
    facts = facts_of(items)
    return Shelf(facts, order[:POPULAR_DEPTH], _creator_tail(facts, popularity))


def _creator_tail(facts: Facts, popularity: Vectors) -> Vectors:
    creators = facts.column("creator")
    known = creators != NO_CREATOR
    count = max(len(facts.creators.values), 1)
    held = np.bincount(creators[known], np.nan_to_num(popularity[known]), minlength=count)
    order = np.argsort(-held, kind="stable")
    tail = np.empty(count, np.float32)
    tail[order] = (np.cumsum(held[order]) - held[order]) / max(held.sum(), 1e-12)
    return tail
