"""Ranked candidates -> page."""

from collections import Counter
from collections.abc import Sequence

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


def placed(page: Candidates, ranking: Candidates, rows: Rows, places: Sequence[int]) -> Candidates:
    """The page with these rows of the ranking at these positions, as long as before."""
    if not len(rows):
        return page
    position = {row: n for n, row in enumerate(ranking.rows.tolist())}
    order = [position[row] for row in page.rows[~np.isin(page.rows, rows)].tolist()]
    for place, row in zip(places, rows.tolist(), strict=False):
        order.insert(place, position[row])
    return ranking.take(np.array(order[: max(len(page), len(rows))], np.int64))


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
