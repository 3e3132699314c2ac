"""Logged impressions with what followed them, and everything the ranker may know by then."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors
from models.features import ACTION_CODES, History
from models.ranking_features import (
    TASK_ACTIONS,
    Counts,
)
from models.ranking_items import (
    Keys,
)
from models.tasks import TASKS
from training.log import Log, select, user_offsets

REACTION_LIMIT_MS = 24 * 3_600_000  # a later reaction belongs to something else than the impression
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Impressions:
    """E impressions in the order of time.

    Attributes:
        user_rows, item_rows, time_ms: [E].
        labels: [E, len(TASKS)] 0 or 1.
        watch_ratio: [E], `UNKNOWN_WATCH_RATIO` where not known.
        repeated: [E], true where the user had met the item before.
    """

    user_rows: Rows
    item_rows: Rows
    time_ms: Rows
    labels: Vectors
    watch_ratio: Vectors
    repeated: Mask

    def __len__(self) -> int:
        return len(self.user_rows)

    def take(self, chosen: Rows | Mask) -> "Impressions":
        """The chosen impressions."""
        return Impressions(
            self.user_rows[chosen],
            self.item_rows[chosen],
            self.time_ms[chosen],
            self.labels[chosen],
            self.watch_ratio[chosen],
            self.repeated[chosen],
        )


def impressions_of(log: Log) -> Impressions:
    """The log's impressions, each with the reactions to it.

    A reaction belongs to the user's latest impression of the item, at most a day before it.

    Raises:
        ValueError: the log proper holds no impression.
    """
    own = select(log, log.logged)
    shown = select(own, own.actions == ACTION_CODES["impression"])
    if not len(shown):
        raise ValueError("the log holds no event of type impression; a ranker learns from these")
    shown = select(shown, np.argsort(shown.time_ms, kind="stable"))
    labels = np.zeros((len(shown), len(TASKS)), np.float32)
    ratio = shown.watch_ratio.copy()
    found = impression_of_event(shown, own)
    for t, task in enumerate(TASKS):
        codes = [ACTION_CODES[name] for name in TASK_ACTIONS[task]]
        labels[found[(found >= 0) & np.isin(own.actions, codes)], t] = 1.0
    np.maximum.at(ratio, found[found >= 0], own.watch_ratio[found >= 0])
    return Impressions(
        shown.user_rows, shown.item_rows, shown.time_ms, labels, ratio, met_before(log, shown)
    )


def impression_of_event(shown: Log, events: Log) -> Rows:
    """[E] index of the impression that each event follows, -1 for none."""
    pairs, owner = np.unique(_pairs(shown), return_inverse=True)
    start = int(min(shown.time_ms.min(), events.time_ms.min()))
    span = int(max(shown.time_ms.max(), events.time_ms.max())) - start + 1
    moments = owner * span + shown.time_ms - start
    order = np.argsort(moments, kind="stable")
    event_pairs = _pairs(events)
    place = np.minimum(np.searchsorted(pairs, event_pairs), len(pairs) - 1)
    wanted = place * span + events.time_ms - start
    before = np.searchsorted(moments[order], wanted, side="right") - 1
    index = order[np.maximum(before, 0)]
    fits = (before >= 0) & (_pairs(shown)[index] == event_pairs)
    fits &= events.time_ms - shown.time_ms[index] <= REACTION_LIMIT_MS
    return np.where(fits, index, -1)


def met_before(log: Log, shown: Log) -> Mask:
    """[E], true where the user has an earlier event with the item."""
    pairs, owner = np.unique(_pairs(log), return_inverse=True)
    first = np.full(len(pairs), np.iinfo(np.int64).max)
    np.minimum.at(first, owner, log.time_ms)
    met: Mask = first[np.searchsorted(pairs, _pairs(shown))] < shown.time_ms
    return met


def _pairs(log: Log) -> Rows:
    return log.user_rows * log.item_count + log.item_rows


def counts_before(shown: Impressions, creators: Keys, published_at_ms: NDArray[np.int64]) -> Counts:
    """What the impressions before each one tell of its item and creator.

    Args:
        shown: all impressions, oldest first.
        creators: [N] hashed creator of each item, 0 unknown.
        published_at_ms: [N], 0 unknown.
    """
    owner = creators[shown.item_rows]
    reactions, impressions = sums_before(shown.item_rows, shown)
    by_creator, of_creator = sums_before(owner, shown)
    by_creator[owner == 0] = 0
    of_creator[owner == 0] = 0
    published = published_at_ms[shown.item_rows]
    age_h = np.where(published > 0, (shown.time_ms - published) / HOUR_MS, np.nan)
    return Counts(impressions, reactions, age_h.astype(np.float32), of_creator, by_creator)


def sums_before(groups: NDArray[Any], shown: Impressions) -> tuple[Vectors, Vectors]:
    """Reactions [E, tasks] and impressions [E] of the same group at strictly earlier moments."""
    order = np.lexsort((shown.time_ms, groups))
    told = np.concatenate([shown.labels, np.ones((len(shown), 1), np.float32)], 1)[order]
    running = np.concatenate([np.zeros((1, told.shape[1])), np.cumsum(told, 0, dtype=np.float64)])
    ordered = groups[order]
    starts = np.searchsorted(ordered, ordered)
    same_moment = np.concatenate(
        [[True], (np.diff(ordered) != 0) | (np.diff(shown.time_ms[order]) != 0)]
    )
    first_of_moment = np.maximum.accumulate(np.where(same_moment, np.arange(len(order)), 0))
    sums = np.empty_like(told)
    sums[order] = running[first_of_moment] - running[starts]
    return sums[:, :-1], sums[:, -1]


@dataclass(frozen=True)
class Past:
    """Histories as of any moment, out of one log.

    Attributes:
        log: events that histories read. offsets: [U + 1]. length: events at most.
    """

    log: Log
    offsets: Rows
    length: int

    def before(self, user: int, time_ms: int) -> History:
        """The user's newest events strictly before a moment, newest first."""
        start, end = int(self.offsets[user]), int(self.offsets[user + 1])
        end = start + int(np.searchsorted(self.log.time_ms[start:end], time_ms))
        own = slice(max(start, end - self.length), end)
        log = self.log
        return History(
            log.item_rows[own][::-1],
            log.actions[own][::-1],
            log.watch_ratio[own][::-1],
            ((time_ms - log.time_ms[own][::-1]) / 1000).astype(np.float32),
        )


def past_of(log: Log, length: int, *, reads_impressions: bool) -> Past:
    """What histories are made of.

    Args:
        log: all events.
        length: newest events read.
        reads_impressions: whether what was shown and not reacted to is remembered.
    """
    kept = log
    if not reads_impressions:
        kept = select(log, log.actions != ACTION_CODES["impression"])
    return Past(kept, user_offsets(kept), length)
