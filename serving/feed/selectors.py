"""Ranked candidates -> page."""

from collections import Counter

import numpy as np

from models.arrays import Rows
from serving.feed.candidates import Candidates
from serving.feed.shelf import NO_CREATOR, Shelf


def spread_creators(
    candidates: Candidates, shelf: Shelf, k: int, window: int, limit: int
) -> Candidates:
    """Return at most `k` candidates, best first, with creators spread.

    Any `window` neighbouring positions hold at most `limit` items of one creator. Where nothing
    else is left the best remaining item is taken, so that spreading never shortens a page.
    """
    codes = shelf.creator_codes[candidates.rows].tolist()
    return candidates.take(_spread_order(codes, k, window, limit))


def _spread_order(codes: list[int], k: int, window: int, limit: int) -> Rows:
    waiting = list(range(len(codes)))
    order: list[int] = []
    near: Counter[int] = Counter()  # of the last window - 1 positions
    while waiting and len(order) < k:
        fitting = (p for p, i in enumerate(waiting) if near[codes[i]] < limit)
        order.append(waiting.pop(next(fitting, 0)))
        for place, change in ((-1, 1), (-window, -1)):
            if len(order) >= -place and codes[order[place]] != NO_CREATOR:
                near[codes[order[place]]] += change
    return np.array(order, np.int64)
