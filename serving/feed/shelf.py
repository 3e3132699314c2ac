"""What the feed looks up about items."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.arrays import Rows, Vectors
from serving.feed.facts import UNKNOWN, Facts, facts_of

POPULAR_DEPTH = 5_000  # more than a page with everything a user may have seen or excluded
NO_CREATOR = UNKNOWN


@dataclass(frozen=True)
class Shelf:
    """Facts of N items in row order.

    Attributes:
        facts: columns that change with the catalogue.
        popular_rows: at most POPULAR_DEPTH rows, most popular first.
    """

    facts: Facts
    popular_rows: Rows

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

    def creator_id(self, row: int) -> str | None:
        """Return the creator of a row, None if it has none."""
        code = self.creator_codes[row]
        return None if code == NO_CREATOR else self.creators[code]


def make_shelf(items: pa.Table, popularity: Vectors) -> Shelf:
    """Take over the facts and sort the popular items; of equal popularity the lower row first.

    Args:
        items: N items of the Item contract; every column may be absent.
        popularity: [N].
    """
    order = np.argsort(-popularity, kind="stable")
    return Shelf(facts_of(items), order[:POPULAR_DEPTH])
