"""What a policy may know of people: what they did and what they were shown, and nothing planted."""

from dataclasses import dataclass

import numpy as np

from models.arrays import Mask, Rows, Vectors
from models.features import (
    ACTION_CODES,
    UNKNOWN_WATCH_RATIO,
    History,
    HistoryBatch,
    batch_histories,
)
from models.ranking_features import TASK_ACTIONS, ItemCounters
from models.tasks import TASKS
from training.closed_loop.stage import Stage
from training.datasets.simulator import Responses, shown_after_ms
from training.log import encode

KEPT = 200  # events a user, as the state server keeps
ACTED = (
    "skip",
    "play",
    "long_view",
    "like",
    "comment",
    "share",
    "follow",
    "click_product",
    "purchase",
    "not_interested",
)


@dataclass(frozen=True)
class People:
    """Behaviour of U users over N items; written in place.

    Attributes:
        rows, actions, time_ms: [U, KEPT] newest first, -1 where nothing stands. ratio: [U, KEPT].
        seen: [U, N] true where an item was shown.
        impressions: [N]. reactions: [N, len(TASKS)]. published_ms: [N].
        duration_ms: [N] NaN where there is none.
    """

    rows: Rows
    actions: Rows
    time_ms: Rows
    ratio: Vectors
    seen: Mask
    impressions: Vectors
    reactions: Vectors
    published_ms: Rows
    duration_ms: Vectors

    def history(self, user: int, now_ms: int) -> History:
        """One user's history as the user tower reads it."""
        count = int((self.rows[user] >= 0).sum())
        age_s = np.maximum(now_ms - self.time_ms[user, :count], 0) / 1000
        return History(
            self.rows[user, :count],
            self.actions[user, :count],
            self.ratio[user, :count],
            age_s.astype(np.float32),
        )

    def watch_ms(self, user: int) -> list[float | None]:
        """How long one user watched, by event; None where it is not known."""
        ratio = self.ratio[user]
        told = ratio * self.duration_ms[np.maximum(self.rows[user], 0)]
        known = (ratio >= 0) & np.isfinite(told)
        return [float(ms) if is_known else None for ms, is_known in zip(told, known, strict=True)]

    def histories(self, users: Rows, now_ms: int, length: int) -> HistoryBatch:
        """Histories of B users."""
        return batch_histories([self.history(u, now_ms) for u in users.tolist()], length)

    def counters(self) -> ItemCounters:
        """What had happened to the items by now."""
        return ItemCounters(self.impressions.copy(), self.reactions.copy(), self.published_ms)

    def learn(self, users: Rows, page: Rows, told: Responses, now_ms: Rows) -> None:
        """Take in what users did with their pages [B, K] that were opened at `now_ms` [B]."""
        times = now_ms[:, None] + shown_after_ms(told).astype(np.int64)
        b, k = np.nonzero(told.examined)
        self.seen[users[b], page[b, k]] = True
        np.add.at(self.impressions, page[b, k], 1.0)
        for task, names in TASK_ACTIONS.items():
            found = [told.reactions[name] for name in names if name in told.reactions]
            did = np.logical_or.reduce(found)
            np.add.at(self.reactions[:, TASKS.index(task)], page[did], 1.0)
        happened = np.stack([told.reactions[name] for name in ACTED], axis=-1)
        b, k, a = np.nonzero(happened)
        codes = np.array([ACTION_CODES[name] for name in ACTED])[a]
        self._push(users, b, page[b, k], codes, times[b, k], told.watch_ms[b, k])

    def _push(
        self, users: Rows, b: Rows, rows: Rows, codes: Rows, times: Rows, watch_ms: Vectors
    ) -> None:
        duration = self.duration_ms[rows]
        ratio = np.where(
            np.isnan(duration),
            UNKNOWN_WATCH_RATIO,
            np.minimum(watch_ms / np.where(np.isnan(duration), 1, duration), 5.0),
        )
        columns = (
            (self.rows, rows),
            (self.actions, codes),
            (self.time_ms, times),
            (self.ratio, ratio),
        )
        edges = np.searchsorted(b, np.arange(len(users) + 1))
        for n, user in enumerate(users.tolist()):
            lo, hi = edges[n], edges[n + 1]
            if hi > lo:
                for table, values in columns:
                    joined = np.concatenate([values[lo:hi][::-1], table[user]])
                    table[user] = joined[:KEPT]


def people_of(stage: Stage) -> People:
    """People as the log leaves them."""
    log, users, items = (
        encode(stage.log),
        len(stage.world.user_traits),
        len(stage.world.item_traits),
    )
    duration = stage.world.items["duration_ms"].to_numpy().astype(np.float32)
    people = People(
        rows=np.full((users, KEPT), -1),
        actions=np.zeros((users, KEPT), np.int64),
        time_ms=np.zeros((users, KEPT), np.int64),
        ratio=np.full((users, KEPT), UNKNOWN_WATCH_RATIO, np.float32),
        seen=np.zeros((users, items), bool),
        impressions=np.zeros(items, np.float32),
        reactions=np.zeros((items, len(TASKS)), np.float32),
        published_ms=stage.world.item_traits.published_ms,
        duration_ms=duration,
    )
    shown = log.actions == ACTION_CODES["impression"]
    people.seen[log.user_rows[shown], log.item_rows[shown]] = True
    np.add.at(people.impressions, log.item_rows[shown], 1.0)
    for task, names in TASK_ACTIONS.items():
        did = np.isin(log.actions, [ACTION_CODES[name] for name in names])
        np.add.at(people.reactions[:, TASKS.index(task)], log.item_rows[did], 1.0)
    for user in np.unique(log.user_rows).tolist():
        lo, hi = np.searchsorted(log.user_rows, [user, user + 1])
        own = np.flatnonzero(~shown[lo:hi])[::-1][:KEPT] + lo
        for table, values in (
            (people.rows, log.item_rows),
            (people.actions, log.actions),
            (people.time_ms, log.time_ms),
            (people.ratio, log.watch_ratio),
        ):
            table[user, : len(own)] = values[own]
    return people
