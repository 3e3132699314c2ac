"""What a world is drawn from: published ranges, one draw a seed, and constants fitted once.

Frozen: a policy is never tuned by tuning the world. ``docs/simulator.md`` states every formula that
these numbers enter, and a test holds its table to this file.
"""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

CHOSEN = "chosen"
KUAIRAND = "KuaiRand-Pure, feed tab"  # aggregates of 2022-04-25..05-08; no row is kept here

# Share of a day's views in each local hour (KuaiRand-Pure, feed tab, China time).
HOURS = np.array(
    [
        *(0.0363, 0.0227, 0.0151, 0.0095, 0.0079, 0.0089, 0.0167, 0.0261),
        *(0.0337, 0.0411, 0.0462, 0.0525, 0.0607, 0.0561, 0.0516, 0.0532),
        *(0.0579, 0.0621, 0.0556, 0.0534, 0.0543, 0.0592, 0.0625, 0.0568),
    ]
)

LATENT_DIMENSIONS = 32
KNOWN_INTERESTS = (2, 4)  # fewest and most interests a user has shown before the world starts
HIDDEN_INTERESTS = (1, 2)  # unknown demand: interests that nothing shown so far has woken
INTERESTS = KNOWN_INTERESTS[1] + HIDDEN_INTERESTS[1]
AWAKENING_COSINE = 0.4  # a long view this near to a hidden interest wakes it
QUALITY_CLASSES = ("poor", "ordinary", "good")
QUALITY_MEANS = (-1.2, 0.0, 1.2)
QUALITY_SIGMA = 0.3
DURATION_LIMITS_S = (5.0, 900.0)
MIDDLE_AFFINITY = 0.32  # of what a logging policy shows; keeps rates apart from the slope
PEAK_DURATION_S = 75.0  # where KuaiRand's share of glances under 3 s is lowest


def drawn(low: float, high: float, unit: str, source: str) -> Any:
    """A field whose value a world draws uniformly from [low, high]."""
    return field(metadata={"low": low, "high": high, "unit": unit, "source": source})


@dataclass(frozen=True)
class WorldParameters:
    """One world's numbers; every field carries its range, unit and source."""

    # catalogue
    creators_per_item: float = drawn(0.15, 0.25, "creators an item", CHOSEN)
    new_creator_share: float = drawn(0.2, 0.35, "share of creators", CHOSEN)
    selling_share: float = drawn(0.4, 0.6, "share of creators", CHOSEN)
    product_share: float = drawn(0.14, 0.2, "share of items", CHOSEN)
    live_share: float = drawn(0.05, 0.1, "share of items", CHOSEN)
    tagged_share: float = drawn(0.2, 0.35, "share of content", CHOSEN)
    good_share: float = drawn(0.2, 0.3, "share of items", CHOSEN)
    poor_share: float = drawn(0.2, 0.3, "share of items", CHOSEN)
    skill_effect: float = drawn(0.3, 0.7, "logit of good over poor, a sigma of skill", CHOSEN)
    leaf_skew: float = drawn(0.4, 0.7, "Zipf exponent over leaves", CHOSEN)
    creator_variance: float = drawn(0.1, 0.18, "share of an item vector", CHOSEN)
    residual_variance: float = drawn(0.08, 0.16, "share of an item vector", CHOSEN)
    reach_sigma: float = drawn(2.2, 2.5, "sigma of log reach", KUAIRAND)
    reach_quality: float = drawn(0.15, 0.35, "log reach a unit of quality", CHOSEN)
    duration_median_s: float = drawn(68.0, 82.0, "s", KUAIRAND)
    duration_sigma: float = drawn(1.0, 1.1, "sigma of log s", KUAIRAND)
    # people
    zh_share: float = drawn(0.5, 0.65, "share of users", CHOSEN)
    minor_share: float = drawn(0.06, 0.12, "share of users", CHOSEN)
    unknown_age_share: float = drawn(0.05, 0.12, "share of users", CHOSEN)
    sessions_per_day: float = drawn(2.6, 3.6, "sessions a user a day, mean", CHOSEN)
    activity_sigma: float = drawn(0.75, 0.85, "sigma of log activity", KUAIRAND)
    interest_focus: float = drawn(0.75, 0.85, "share of an interest vector", CHOSEN)
    next_interest: float = drawn(0.7, 0.85, "weight relative to the one before", CHOSEN)
    dormant_weight: float = drawn(0.55, 0.75, "weight of a hidden interest asleep", CHOSEN)
    drift_amplitude: float = drawn(0.2, 0.4, "share of an interest's weight", CHOSEN)
    drift_period_days: float = drawn(4.0, 12.0, "days, median", CHOSEN)
    taste_sigma: float = drawn(0.8, 1.0, "logit", KUAIRAND)
    social_sigma: float = drawn(1.2, 1.5, "logit", KUAIRAND)
    price_sensitivity: float = drawn(0.6, 1.2, "logit a log price, mean", CHOSEN)
    # attention
    base_logit: float = drawn(0.02, 0.14, "logit at the middle affinity", KUAIRAND)
    affinity_slope: float = drawn(3.4, 4.4, "logit a unit of affinity", CHOSEN)
    quality_slope: float = drawn(0.55, 0.75, "logit a unit of quality", KUAIRAND)
    duration_curvature: float = drawn(0.04, 0.07, "logit a squared log s", KUAIRAND)
    fatigue: float = drawn(0.14, 0.24, "logit a recent item of the same leaf", CHOSEN)
    fatigue_decay: float = drawn(0.8, 0.88, "a position", CHOSEN)
    branch_fatigue: float = drawn(0.25, 0.4, "of a same leaf's fatigue", CHOSEN)
    position_slope: float = drawn(0.06, 0.12, "logit a log position in the session", CHOSEN)
    novelty: float = drawn(0.1, 0.25, "logit", CHOSEN)
    repeat_logit: float = drawn(1.0, 1.8, "logit", CHOSEN)
    language_logit: float = drawn(1.5, 2.5, "logit", CHOSEN)
    follow_logit: float = drawn(0.3, 0.6, "logit", CHOSEN)
    # watching
    glance_median_s: float = drawn(1.9, 2.2, "s", KUAIRAND)
    glance_sigma: float = drawn(0.65, 0.75, "sigma of log s", KUAIRAND)
    stay_median_s: float = drawn(25.0, 31.0, "s at logit 0", KUAIRAND)
    stay_sigma: float = drawn(1.4, 1.55, "sigma of log s", KUAIRAND)
    stay_slope: float = drawn(0.2, 0.3, "log s a logit", CHOSEN)
    loop_share: float = drawn(0.5, 0.62, "of completions of the shortest videos", KUAIRAND)
    loop_decay_s: float = drawn(26.0, 34.0, "s", KUAIRAND)
    # reactions, logits for an average user who did not view long
    like_logit: float = drawn(-5.6, -5.4, "logit", KUAIRAND)
    comment_logit: float = drawn(-8.85, -8.55, "logit", KUAIRAND)
    share_logit: float = drawn(-8.8, -8.5, "logit", KUAIRAND)
    follow_base_logit: float = drawn(-8.2, -8.0, "logit", KUAIRAND)
    negative_logit: float = drawn(-7.2, -6.95, "logit", KUAIRAND)
    reaction_quality: float = drawn(0.35, 0.55, "logit a unit of quality", KUAIRAND)
    negative_violation: float = drawn(0.8, 1.4, "logit", CHOSEN)
    # commerce
    click_logit: float = drawn(-4.2, -3.6, "logit", "ESMM (Ma et al. 2018): 4.0 % of impressions")
    click_affinity: float = drawn(1.6, 2.4, "logit a unit of product affinity", CHOSEN)
    buy_logit: float = drawn(-4.8, -4.2, "logit", "ESMM (Ma et al. 2018): 0.5 % of clicks, raised")
    buy_affinity: float = drawn(1.6, 2.4, "logit a unit of product affinity", CHOSEN)
    buy_discount: float = drawn(0.8, 1.6, "logit a unit of discount", CHOSEN)
    shop_trust: float = drawn(0.2, 0.4, "logit a shop grade", CHOSEN)
    # leaving, a position
    leave_logit: float = drawn(-3.0, -2.7, "logit after a plain view", CHOSEN)
    leave_skip: float = drawn(0.3, 0.5, "logit after a skip", CHOSEN)
    leave_long: float = drawn(0.3, 0.6, "logit taken off after a long view", CHOSEN)
    leave_negative: float = drawn(0.8, 1.4, "logit after not interested", CHOSEN)


def ranges() -> dict[str, dict[str, Any]]:
    """Every parameter's low, high, unit and source, by name."""
    return {item.name: dict(item.metadata) for item in fields(WorldParameters)}


def draw_parameters(rng: np.random.Generator) -> WorldParameters:
    """One world's parameters, each uniform in its range."""
    return WorldParameters(
        **{name: float(rng.uniform(r["low"], r["high"])) for name, r in ranges().items()}
    )
