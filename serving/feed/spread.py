"""How evenly a feed spreads exposure over items and creators."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

SMALL_TAIL = (
    0.5  # small creators: the least exposed ones who held this share of all exposure before
)


def gini(exposures: ArrayLike) -> float:
    """Gini coefficient of exposures [N] (Gini 1912): 0 all alike, towards 1 one has all."""
    ordered = np.sort(np.asarray(exposures, np.float64))
    total = ordered.sum()
    if not len(ordered) or total <= 0:
        return 0.0
    place = 2 * np.arange(1, len(ordered) + 1) - len(ordered) - 1
    return float(place @ ordered / (len(ordered) * total))


def small_creator_share(
    creators: Sequence[str], exposures: ArrayLike, before: ArrayLike
) -> tuple[float, float]:
    """Share of exposure that small creators get, and their share of all creators.

    Args:
        creators: [N] of each item. exposures: [N] to be judged.
        before: [N] by which creators are called small: those with the least of it, who together
            hold at most ``SMALL_TAIL`` of all.
    """
    names, owner = np.unique(np.asarray(creators, object).astype(str), return_inverse=True)
    if not len(names):
        return 0.0, 0.0
    had = np.bincount(owner, np.asarray(before, np.float64), len(names))
    now = np.bincount(owner, np.asarray(exposures, np.float64), len(names))
    order = np.argsort(had, kind="stable")
    small = order[np.cumsum(had[order]) <= SMALL_TAIL * had.sum()]
    return float(now[small].sum() / max(now.sum(), 1e-12)), len(small) / len(names)
