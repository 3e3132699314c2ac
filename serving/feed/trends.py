"""Counts of events in time buckets -> what is hot where, and what was counted of each item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Rows, Vectors
from models.ranking_features import TASK_ACTIONS
from models.tasks import TASKS

EVERYWHERE = "*"  # region of events whose user's region is not known
HEAT = {
    "play": 0.2,
    "long_view": 1.0,
    "complete": 1.0,
    "like": 3.0,
    "comment": 4.0,
    "share": 5.0,
    "follow": 5.0,
    "click_product": 2.0,
    "add_cart": 3.0,
    "purchase": 6.0,
    "skip": -0.5,
    "not_interested": -3.0,
    "report": -10.0,
}
NOW_H, USUAL_H = 0.5, 12.0  # half-lives of what counts as now and as usual
LEAST_HEAT = 3.0  # an hour, before anything is said of a trend
PRIOR = 2.0  # usual heat of an item of which little is known
HOTTEST = 1_000  # rows kept a region
IMPRESSION = "impression"


@dataclass(frozen=True)
class Counted:
    """What is known of C pairs of region and item at one moment.

    Attributes:
        regions: [C]. item_ids: [C].
        totals: [C, 1 + len(TASKS)] impressions, and reactions by task, since counting began.
        heat: [C] how much hotter than usual, in standard deviations of a Poisson count.
    """

    regions: Sequence[str]
    item_ids: Sequence[str]
    totals: Vectors
    heat: Vectors


class Tally:
    """Folds buckets of counts, oldest first; from one thread at a time."""

    def __init__(self, bucket_ms: int) -> None:
        """Start with nothing.

        Args:
            bucket_ms: width of a bucket.
        """
        self._hours = bucket_ms / 3_600_000
        self._place: dict[str, int] = {}  # of region and item
        self._totals: Vectors = np.zeros((256, 1 + len(TASKS)), np.float32)
        self._heats = np.zeros((256, 2))  # now, usual: decayed sums
        self._time_h = np.zeros(2)  # that they were summed over, decayed alike
        self._decay = 0.5 ** (self._hours / np.array([NOW_H, USUAL_H]))
        self._effects = _effects()

    def fold(self, bucket: Mapping[str, int]) -> None:
        """Take in the counts of the next bucket, by ``type:region:item``."""
        totals, heat = self._sums(bucket)
        count = len(self._place)
        self._totals[:count] += totals
        self._heats[:count] = self._heats[:count] * self._decay + heat[:, None]
        self._time_h = self._time_h * self._decay + self._hours

    def counted(self, filling: Mapping[str, int]) -> Counted:
        """Return what is known with the bucket that is still filling, which is not taken in."""
        totals, heat = self._sums(filling)
        count = len(self._place)
        sums = self._heats[:count] + heat[:, None]
        rate_now, rate_usual = (sums / np.maximum(self._time_h, self._hours)).T
        hotter = (rate_now - rate_usual) / np.sqrt(np.maximum(rate_usual, 0) + PRIOR)
        pairs = [key.partition(":") for key in self._place]
        return Counted(
            [region for region, _, _ in pairs],
            [item_id for _, _, item_id in pairs],
            self._totals[:count] + totals,
            np.where(rate_now < LEAST_HEAT, -np.inf, hotter).astype(np.float32),
        )

    def _sums(self, bucket: Mapping[str, int]) -> tuple[Vectors, NDArray[np.float64]]:
        """Totals [C, 1 + len(TASKS)] and heat [C] of one bucket; new pairs get their places."""
        places, effects = [], []
        for field, count in bucket.items():
            kind, _, pair = field.partition(":")
            effect = self._effects.get(kind)
            if effect is not None:
                places.append(self._place.setdefault(pair, len(self._place)))
                effects.append(effect * count)
        self._make_room()
        sums = np.zeros((len(self._place), 2 + len(TASKS)))
        if places:
            np.add.at(sums, places, np.stack(effects))
        return sums[:, 1:].astype(np.float32), sums[:, 0]

    def _make_room(self) -> None:
        missing = len(self._place) - len(self._totals)
        if missing > 0:
            more = max(missing, len(self._totals))
            self._totals = np.pad(self._totals, ((0, more), (0, 0)))
            self._heats = np.pad(self._heats, ((0, more), (0, 0)))


def hottest_rows(counted: Counted, rows: Rows) -> dict[str, Rows]:
    """Rows by region, hottest first; under "" those of all regions by their best heat.

    Args:
        counted: C pairs.
        rows: [C] of their items, -1 where unknown.
    """
    hot = np.flatnonzero((rows >= 0) & (counted.heat > 0))
    order = hot[np.argsort(-counted.heat[hot], kind="stable")]
    found: dict[str, dict[int, None]] = {"": {}}
    for n in order.tolist():
        found[""].setdefault(int(rows[n]))
        if (region := counted.regions[n]) != EVERYWHERE:
            found.setdefault(region, {}).setdefault(int(rows[n]))
    return {region: np.array(list(of)[:HOTTEST], np.int64) for region, of in found.items()}


def summed(counted: Counted, rows: Rows, count: int) -> tuple[Vectors, Vectors]:
    """Impressions [N] and reactions [N, len(TASKS)] of items in all regions together."""
    known = (rows >= 0) & (rows < count)
    sums = np.zeros((count, 1 + len(TASKS)), np.float32)
    np.add.at(sums, rows[known], counted.totals[known])
    return sums[:, 0], sums[:, 1:]


def _effects() -> dict[str, NDArray[np.float64]]:
    """What one event of a type adds: heat, impressions, reactions by task."""
    types = {IMPRESSION, *HEAT, *(name for names in TASK_ACTIONS.values() for name in names)}
    return {
        name: np.array(
            [
                HEAT.get(name, 0.0),
                float(name == IMPRESSION),
                *(float(name in TASK_ACTIONS[task]) for task in TASKS),
            ]
        )
        for name in types
    }
