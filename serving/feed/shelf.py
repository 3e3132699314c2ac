"""What the feed looks up about items, derived once per bundle."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Rows, Vectors

POPULAR_DEPTH = 5_000  # more than a page with everything a user may have seen or excluded
NO_CREATOR = -1


@dataclass(frozen=True)
class Shelf:
    """Facts of N items in row order.

    Attributes:
        creator_codes: [N] index into `creators`; NO_CREATOR where none is known.
        creators: distinct creator ids.
        duration_ms: [N], NaN where not known.
        popular_rows: at most POPULAR_DEPTH rows, most popular first.
    """

    creator_codes: NDArray[np.int32]
    creators: tuple[str, ...]
    duration_ms: Vectors
    popular_rows: Rows

    def creator_id(self, row: int) -> str | None:
        """Return the creator of a row, None if it has none."""
        code = self.creator_codes[row]
        return None if code == NO_CREATOR else self.creators[code]


def make_shelf(
    creator_ids: Sequence[str | None], duration_ms: Sequence[float | None], popularity: Vectors
) -> Shelf:
    """Number the creators and sort the popular items; of equal popularity the lower row first.

    Args:
        creator_ids: [N].
        duration_ms: [N].
        popularity: [N].
    """
    codes: dict[str, int] = {}
    numbered = [
        NO_CREATOR if creator is None else codes.setdefault(creator, len(codes))
        for creator in creator_ids
    ]
    order = np.argsort(-popularity, kind="stable")
    return Shelf(
        np.array(numbered, np.int32),
        tuple(codes),
        np.array(duration_ms, np.float32),  # None becomes NaN
        order[:POPULAR_DEPTH],
    )
