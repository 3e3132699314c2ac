"""What a day under three policies comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask
from serving.feed.spread import gini, small_creator_share
from training.closed_loop.day import Day
from training.closed_loop.ladder import NOT_YET, DayLadder
from training.closed_loop.stage import Stage, daytime_ms
from training.datasets.world.parameters import QUALITY_CLASSES
from training.datasets.world.people import HOUR_MS

OURS, POPULAR, INTEREST = "ours", "popular", "interest"
DAYTIME_H = 2.0  # in which the first audience is to be complete
NEVER_H = np.inf
BARS: Mapping[str, tuple[str, float]] = {
    "quota_reached_share": (">=", 0.99),
    "quality_recall": (">=", 0.8),
    "poor_promoted_share": ("<=", 0.05),
    "session_vs_popular": (">=", 1.10),
    "session_vs_interest": (">=", 1.02),
    "gini_vs_interest": ("<=", 0.85),
}


@dataclass(frozen=True)
class NewItems:
    """What became of E new items.

    Attributes:
        judged: [E] true where an item had two hours of daytime before the day ended.
        hours: [E] of daytime until the first audience was complete; infinite for never.
        tier: [E] the highest that was reached.
        quality: [E] row of ``QUALITY_CLASSES``, planted.
        exposures: [E] impressions, wherever.
    """

    judged: Mask
    hours: NDArray[np.float64]
    tier: NDArray[np.int64]
    quality: NDArray[np.int64]
    exposures: NDArray[np.float64]


def new_items_of(stage: Stage, ladder: DayLadder, day: Day) -> NewItems:
    """Read a day's ladder against the planted truth."""
    lived = daytime_ms(stage.world, ladder.rows, stage.plan.hours) / HOUR_MS
    return NewItems(
        judged=lived[:, -1] >= DAYTIME_H,
        hours=daytime_at(lived, (ladder.reached_ms - stage.start_ms) / HOUR_MS, ladder.reached_ms),
        tier=ladder.best_tier,
        quality=stage.world.item_traits.quality_class[ladder.rows],
        exposures=day.exposures[ladder.rows],
    )


def daytime_at(
    lived: NDArray[np.float64], hour: NDArray[np.float64], reached_ms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Hours of daytime [E] that items had lived at a moment of the day.

    Args:
        lived: [E, hours + 1] by each whole hour. hour: [E] the moment, in hours.
        reached_ms: [E] NOT_YET where there is no such moment.
    """
    whole = np.clip(hour.astype(np.int64), 0, lived.shape[1] - 2)
    e = np.arange(len(lived))
    before, after = lived[e, whole], lived[e, whole + 1]
    within = before + (after - before) * np.clip(hour - whole, 0.0, 1.0)
    return np.where(reached_ms == NOT_YET, NEVER_H, within)


def figures_of(days: Mapping[str, Day], new: NewItems) -> dict[str, float]:
    """The figures that the bars are set on."""
    good, poor = (new.judged & (new.quality == QUALITY_CLASSES.index(n)) for n in ("good", "poor"))
    ours, interest = days[OURS], days[INTEREST]
    return {
        "quota_reached_share": mean(new.hours[new.judged] <= DAYTIME_H),
        "quality_recall": mean(new.tier[good] > 0),
        "poor_promoted_share": mean(new.tier[poor] > 0),
        "session_vs_popular": ours.session_value / days[POPULAR].session_value,
        "session_vs_interest": ours.session_value / interest.session_value,
        "gini_vs_interest": gini(ours.exposures) / gini(interest.exposures),
    }


def mean(values: NDArray[Any]) -> float:
    """Mean of values; NaN, which is within no bar, where there are none."""
    return float(values.mean()) if len(values) else float("nan")


def holds(name: str, value: float) -> bool:
    """Whether one figure is within its bar."""
    way, bar = BARS[name]
    return value >= bar if way == ">=" else value <= bar


def worlds_held(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """In how many worlds each figure is within its bar."""
    return {name: sum(holds(name, row[name]) for row in rows) for name in BARS}


def policy_rows(stage: Stage, days: Mapping[str, Day]) -> list[dict[str, Any]]:
    """One row a policy."""
    creators = [str(one) for one in stage.world.item_traits.creator.tolist()]
    before = np.exp(stage.world.item_traits.reach)
    rows = []
    for name, day in days.items():
        share, _ = small_creator_share(creators, day.exposures, before)
        rows.append(
            {
                "policy": name,
                "sessions": len(day.value),
                "session_value": day.session_value,
                "session_error": float(day.value.std() / np.sqrt(len(day.value))),
                "impressions": int(day.exposures.sum()),
                "gini": gini(day.exposures),
                "small_creators": share,
                "new_items": float(day.exposures[stage.first_new :].sum() / day.exposures.sum()),
            }
        )
    return rows


def class_rows(new: NewItems) -> list[dict[str, Any]]:
    """One row a planted quality class."""
    rows = []
    for code, name in enumerate(QUALITY_CLASSES):
        own = new.judged & (new.quality == code)
        rows.append(
            {
                "quality": name,
                "items": int(own.sum()),
                "tier_1": mean(new.tier[own] >= 1),
                "tier_2": mean(new.tier[own] >= 2),
                "impressions": mean(new.exposures[own]),
            }
        )
    return rows
