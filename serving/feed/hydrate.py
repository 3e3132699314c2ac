"""Request -> viewer: behaviour as the arrays that the user tower reads."""

import math
from dataclasses import dataclass

import numpy as np

from models.arrays import Mask, Rows
from models.features import History, action_of, watch_ratio_of
from serving.feed.contracts import Behaviour, FeedRequest, ItemNames
from serving.feed.shelf import Shelf
from serving.feed.terms import Terms, terms_of


@dataclass(frozen=True)
class Viewer:
    """One user as the stages see it.

    Attributes:
        history: newest first, known items only.
        seen: rows that were shown or acted upon, distinct.
        excluded: rows that the caller does not want, distinct.
        terms: on which items may be shown.
        hidden: [N] true where an item may not be shown; None for nothing hidden.
    """

    history: History
    seen: Rows
    excluded: Rows
    terms: Terms
    hidden: Mask | None = None


def hydrate(request: FeedRequest, names: ItemNames, shelf: Shelf) -> Viewer:
    """Return the viewer of a request."""
    newest_first = sorted(request.recent, key=lambda behaviour: -behaviour.time_ms)
    rows = names.rows(behaviour.item_id for behaviour in newest_first)
    seen = {*request.seen, *(behaviour.item_id for behaviour in newest_first)}
    return Viewer(
        history_of(newest_first, rows, shelf, request.now_ms),
        _known(names.rows(seen)),
        _known(names.rows({*request.excluded})),
        terms_of(request.standing, shelf.facts, request.now_ms),
        request.hidden,
    )


def history_of(newest_first: list[Behaviour], rows: Rows, shelf: Shelf, now_ms: int) -> History:
    """Return the events whose items are known; an event of the future has age 0.

    Args:
        newest_first: T events.
        rows: [T], -1 where an item is unknown.
        shelf: gives the durations.
        now_ms: the moment of scoring.
    """
    kept = np.flatnonzero(rows >= 0)
    known = [newest_first[i] for i in kept]
    durations = [None if math.isnan(d) else d for d in shelf.duration_ms[rows[kept]].tolist()]
    pairs = list(zip(known, durations, strict=True))
    return History(
        rows[kept],
        np.array([action_of(b.type, b.watch_ms, duration) for b, duration in pairs], np.int64),
        np.array([watch_ratio_of(b.watch_ms, duration) for b, duration in pairs], np.float32),
        np.array([max(now_ms - b.time_ms, 0) / 1000 for b in known], np.float32),
    )


def _known(rows: Rows) -> Rows:
    return rows[rows >= 0]
