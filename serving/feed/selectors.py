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
        full = {code for code, count in near.items() if count >= limit and code != NO_CREATOR}
        place = next((p for p, i in enumerate(waiting) if codes[i] not in full), 0)
        order.append(waiting.pop(place))
        near[codes[order[-1]]] += 1
        if len(order) >= window:
            near[codes[order[-window]]] -= 1
    return np.array(order, np.int64)
