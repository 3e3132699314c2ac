"""The response model: how a user meets a page. Known, documented and frozen.

Every formula stands in ``docs/simulator.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.arrays import Mask, Rows, Vectors
from training.datasets.world.draw import World
from training.datasets.world.memory import Memory, remember_liked, remember_shown
from training.datasets.world.pull import Floats, Pull, pull, sigmoid
from training.datasets.world.reactions import (
    REACTIONS,
    before_leaving,
    shopping_reactions,
    social_reactions,
    watched_reactions,
)

# Session value: what one examined position is worth, in the published weights of the design.
VALUE_WEIGHTS: Mapping[str, float] = {
    "long_view": 0.35,
    "like": 0.25,
    "comment": 0.20,
    "share": 0.10,
    "follow": 0.10,
    "click_product": 0.05,
    "purchase": 1.0,
    "not_interested": -0.5,
}


@dataclass(frozen=True)
class Responses:
    """What B users did with pages of K positions.

    Attributes:
        examined: [B, K], a prefix of the shown positions; nothing else happens outside it.
        watch_ms: [B, K], 0 where not examined.
        reactions: [B, K] by name, in the order of ``REACTIONS``.
        left: [B], true where the user left on this page.
        product_rows: [B, K] item row of the product that a click opens, -1 where there is none.
    """

    examined: Mask
    watch_ms: Vectors
    reactions: dict[str, Mask]
    left: Mask
    product_rows: Rows


def respond(
    world: World,
    user_rows: Rows,
    item_rows: Rows,
    time_ms: Rows,
    rng: np.random.Generator,
    memory: Memory,
) -> Responses:
    """Let B different users meet one page each, position by position, until some leave.

    Args:
        world: whose rows these are.
        user_rows: [B], each user at most once.
        item_rows: [B, K], -1 where nothing is shown.
        time_ms: [B] when the page is opened.
        rng: source of every draw; how many are drawn depends on B and K alone.
        memory: read, and then written in place.

    Raises:
        ValueError: a user stands twice in the batch.
    """
    if len(np.unique(user_rows)) < len(user_rows):
        raise ValueError("respond: a user stands twice in user_rows; give each page a call")
    felt = pull(world, user_rows, item_rows, time_ms, memory)
    watch_ms = watch(world, item_rows, felt, rng)
    reactions = watched_reactions(world, item_rows, watch_ms)
    reactions |= social_reactions(world, user_rows, item_rows, felt, reactions, rng)
    reactions |= shopping_reactions(world, user_rows, item_rows, felt, reactions, rng)
    reactions["not_interested"] &= ~reactions["like"] & ~reactions["click_product"]
    examined, left = before_leaving(world, item_rows >= 0, reactions, rng)
    kept = {name: reactions[name] & examined for name in REACTIONS}
    remember_shown(world, memory, user_rows, item_rows, examined)
    remember_liked(world, memory, user_rows, item_rows, kept)
    products = np.where(item_rows >= 0, world.item_traits.product[item_rows], -1)
    seen_ms = np.where(examined, watch_ms, 0.0).astype(np.float32)
    return Responses(examined, seen_ms, kept, left, products)


def values(responses: Responses) -> Floats:
    """Value [B, K] of each position; a session's value is the sum over its positions."""
    total = np.zeros(responses.examined.shape)
    for name, weight in VALUE_WEIGHTS.items():
        total += weight * responses.reactions[name]
    return total


def watch(world: World, item_rows: Rows, felt: Pull, rng: np.random.Generator) -> Floats:
    """Watched milliseconds [B, K]: a glance; who stays watches on, to the end, or again."""
    settings, shape = world.parameters, item_rows.shape
    uniform, normal = rng.random((2, *shape)), rng.standard_normal((4, *shape))
    glance = settings.glance_median_s * np.exp(settings.glance_sigma * normal[0])
    median = settings.stay_median_s * np.exp(settings.stay_slope * felt.logit)
    stay = median * np.exp(settings.stay_sigma * normal[1])
    wanted = glance + np.where(uniform[0] < sigmoid(felt.logit), stay, 0.0)
    duration = world.item_traits.duration_s[item_rows].astype(np.float64)
    ended = wanted >= duration
    safe = np.where(ended, duration, 1.0)
    again = uniform[1] < settings.loop_share * np.exp(-safe / settings.loop_decay_s)
    looped = safe * (1.0 + 0.9 * np.exp(0.6 * normal[2]))
    lingered = safe + 1.4 * np.exp(1.1 * normal[3])  # the hand is slower than the end
    watched: Floats = np.where(ended, np.where(again, looped, lingered), wanted) * 1000.0
    return watched
