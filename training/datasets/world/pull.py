"""What draws a user to an item: terms that add up as a logit, so that each multiplies the odds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows
from training.datasets.world.draw import World
from training.datasets.world.memory import Memory, fatigue
from training.datasets.world.parameters import MIDDLE_AFFINITY, PEAK_DURATION_S
from training.datasets.world.people import interest_weights

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pull:
    """What draws users to the items of their pages, all [B, K].

    Attributes:
        affinity: match with the item. product_affinity: match with its product.
        logit: engagement; its odds are those of staying beyond the first glance.
        followed: true where the user follows the creator.
    """

    affinity: Floats
    product_affinity: Floats
    logit: Floats
    followed: Mask


def affinities(
    world: World, user_rows: Rows, item_rows: Rows, time_ms: Rows, awake: Mask
) -> Floats:
    """Affinity [B, K]: the strongest of the user's interests, as it stands at that time.

    Args:
        world: whose rows these are.
        user_rows: [B]. item_rows: [B, K], -1 gives 0.
        item_rows: [B, K], -1 gives 0.
        time_ms: [B].
        awake: [B, M]; an interest asleep counts with `dormant_weight`.
    """
    weights = interest_weights(world.user_traits, user_rows, time_ms)
    weights = np.where(awake, weights, weights * world.parameters.dormant_weight)
    interests = world.user_traits.interests[user_rows] * weights[:, :, None]
    cosines = np.einsum("bmd,bkd->bkm", interests, world.item_traits.vectors[item_rows])
    best: Floats = np.maximum(cosines.max(axis=2), 0.0).astype(np.float64)
    return np.where(item_rows >= 0, best, 0.0)


def pull(world: World, user_rows: Rows, item_rows: Rows, time_ms: Rows, memory: Memory) -> Pull:
    """How strongly each position [B, K] draws its user, were it examined."""
    settings, items, users = world.parameters, world.item_traits, world.user_traits
    awake = memory.awake[user_rows]
    affinity = affinities(world, user_rows, item_rows, time_ms, awake)
    product_rows = np.where(item_rows >= 0, items.product[item_rows], -1)
    product_affinity = affinities(world, user_rows, product_rows, time_ms, awake)
    felt, new_branch = fatigue(world, memory, user_rows, item_rows)
    place = memory.position[user_rows][:, None] + np.arange(item_rows.shape[1])
    log_s = np.log(np.minimum(items.duration_s[item_rows], 1e6) / PEAK_DURATION_S)
    bent = np.where(np.isfinite(items.duration_s[item_rows]), log_s**2, 0.0)
    followed = held(memory.followed[user_rows], items.creator[item_rows])
    logit = (
        settings.base_logit
        + users.taste[user_rows][:, None]
        + settings.affinity_slope * (affinity - MIDDLE_AFFINITY)
        + settings.quality_slope * items.quality[item_rows]
        - settings.duration_curvature * bent
        - settings.fatigue * felt
        - settings.position_slope * np.log1p(place)
        + settings.novelty * new_branch
        + settings.follow_logit * followed
        - settings.repeat_logit * held(memory.items[user_rows], item_rows)
        - settings.language_logit
        * (users.language[user_rows][:, None] != items.language[item_rows])
    )
    return Pull(affinity, product_affinity, logit, followed)


def held(memory: Rows, page: Rows) -> Mask:
    """[B, K], true where an entry of the page stands in the user's memory [B, R]."""
    found: Mask = (page[:, :, None] == memory[:, None, :]).any(axis=2)
    return found


def sigmoid(logit: Floats) -> Floats:
    """Probability of a logit."""
    chance: Floats = 1.0 / (1.0 + np.exp(-logit))
    return chance
