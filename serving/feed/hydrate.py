"""Request -> viewer: behaviour as the arrays that the user tower reads."""

from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np

from models.arrays import Mask, Rows
from models.features import History, actions_of, watch_ratios_of
from serving.feed.contracts import Behaviour, FeedRequest, ItemNames
from serving.feed.hours import commerce_closed, local_hour
from serving.feed.rules import MinorRules
from serving.feed.shelf import Shelf
from serving.feed.terms import Terms, terms_of

DEFAULT_MINORS = MinorRules()
TIME_MS = attrgetter("time_ms")


@dataclass(frozen=True)
class Viewer:
    """One user as the stages see it.

    Attributes:
        history: newest first, known items only.
        seen: rows that were shown or acted upon; one may stand twice.
        excluded: rows that the caller does not want, distinct.
        terms: on which items may be shown.
        hidden: [N] true where an item may not be shown; None for nothing hidden.
        limited: [N] true where an item is not to be spread; None for nothing limited.
        shown: rows that were shown, the newest last.
        paged: rows of the pages before this one, in their order.
        local_hour: in [0, 24).
        commerce_closed: sees no commerce item now.
    """

    history: History
    seen: Rows
    excluded: Rows
    terms: Terms
    hidden: Mask | None = None
    limited: Mask | None = None
    shown: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    paged: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    local_hour: float = 12.0
    commerce_closed: bool = False

    def unlimited(self, rows: Rows) -> Rows:
        """Those of the rows that may be spread; one that came after the mask may not yet."""
        if self.limited is None:
            return rows
        known = rows[rows < len(self.limited)]
        return known[~self.limited[known]]


def hydrate(
    request: FeedRequest, names: ItemNames, shelf: Shelf, minors: MinorRules = DEFAULT_MINORS
) -> Viewer:
    """Return the viewer of a request."""
    standing, now_ms = request.standing, request.now_ms
    newest_first = sorted(request.recent, key=TIME_MS, reverse=True)
    rows = names.rows([behaviour.item_id for behaviour in newest_first])
    shown, paged = names.rows(request.seen), names.rows(request.paged)
    return Viewer(
        history_of(newest_first, rows, shelf, now_ms),
        _known(np.concatenate([rows, shown])),
        _known(np.concatenate([names.rows({*request.excluded}), paged])),
        terms_of(standing, shelf.facts, now_ms),
        request.hidden,
        request.limited,
        shown[shown >= 0],
        paged[paged >= 0],
        local_hour(standing, request.told_hour, now_ms),
        commerce_closed(standing, minors, request.told_hour, now_ms),
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
    known = [newest_first[i] for i in kept.tolist()]
    watch_ms = np.array([b.watch_ms for b in known], np.float32)  # None becomes NaN
    duration_ms = shelf.duration_ms[rows[kept]]
    time_ms = np.array([b.time_ms for b in known], np.int64)
    return History(
        rows[kept],
        actions_of([b.type for b in known], watch_ms, duration_ms),
        watch_ratios_of(watch_ms, duration_ms),
        (np.maximum(now_ms - time_ms, 0) / 1000).astype(np.float32),
    )


def _known(rows: Rows) -> Rows:
    return rows[rows >= 0]
