"""Reactions to a page: what watching says, social acts, shopping, and when a user leaves."""

from collections.abc import Mapping

import numpy as np

from models.arrays import Mask, Rows
from models.features import LONG_VIEW_MS
from training.datasets.world.draw import World
from training.datasets.world.items import PRODUCT
from training.datasets.world.pull import Floats, Pull, sigmoid

REACTIONS = (
    "play",
    "long_view",
    "complete",
    "skip",
    "like",
    "comment",
    "share",
    "follow",
    "click_product",
    "purchase",
    "not_interested",
)
PLAY_MS = 7_000  # KuaiRand's click on the feed tab: 7 s watched, or a long view
SKIP_MS = 3_000
CLICK_LONG_VIEW = 0.9  # logit that a long view adds to a product click
CLICK_PRICE = 0.3  # of what the price takes off a purchase


def watched_reactions(world: World, item_rows: Rows, watch_ms: Floats) -> dict[str, Mask]:
    """What the watched time alone says: play, long view, completion, skip."""
    duration_ms = world.item_traits.duration_s[item_rows] * 1000.0
    long_view = watch_ms >= np.minimum(duration_ms, LONG_VIEW_MS)
    return {
        "play": (watch_ms >= PLAY_MS) | long_view,
        "long_view": long_view,
        "complete": watch_ms >= duration_ms,
        "skip": (watch_ms < SKIP_MS) & ~long_view,
    }


# What a long view and a completion add to the logit of a reaction (KuaiRand-Pure, feed tab).
SOCIAL = {"like": (1.1, 0.35), "comment": (2.6, 0.3), "share": (1.4, 0.4), "follow": (0.9, 0.35)}


def social_reactions(
    world: World,
    user_rows: Rows,
    item_rows: Rows,
    felt: Pull,
    watched: Mapping[str, Mask],
    rng: np.random.Generator,
) -> dict[str, Mask]:
    """Like, comment, share and follow of content, and not interested in anything."""
    settings, items = world.parameters, world.item_traits
    base = {
        "like": settings.like_logit,
        "comment": settings.comment_logit,
        "share": settings.share_logit,
        "follow": settings.follow_base_logit,
    }
    warmth = (
        world.user_traits.social[user_rows][:, None]
        + settings.reaction_quality * items.quality[item_rows]
    )
    draws = rng.random((len(SOCIAL) + 1, *item_rows.shape))
    content = items.kind[item_rows] != PRODUCT
    found = {}
    for (name, (long_view, complete)), draw in zip(SOCIAL.items(), draws, strict=False):
        logit = base[name] + warmth
        logit += long_view * watched["long_view"] + complete * watched["complete"]
        found[name] = content & (draw < sigmoid(logit))
    found["follow"] &= ~felt.followed & first_of_creator(items.creator[item_rows])
    dislike = (
        settings.negative_logit
        - 0.5 * felt.logit
        - 0.4 * watched["long_view"]
        + settings.negative_violation * (items.violation[item_rows] != "")
    )
    found["not_interested"] = draws[-1] < sigmoid(dislike)
    return found


def first_of_creator(creators: Rows) -> Mask:
    """[B, K], true where no earlier position of the page has the same creator."""
    same = creators[:, :, None] == creators[:, None, :]
    earlier = np.tril(np.ones(same.shape[1:], bool), -1)
    first: Mask = ~(same & earlier).any(axis=2)
    return first


def shopping_reactions(
    world: World,
    user_rows: Rows,
    item_rows: Rows,
    felt: Pull,
    watched: Mapping[str, Mask],
    rng: np.random.Generator,
) -> dict[str, Mask]:
    """Click on the product of an item that was not skipped, and purchase after a click."""
    settings, items = world.parameters, world.item_traits
    product = np.where(item_rows >= 0, items.product[item_rows], -1)
    cost = world.user_traits.sensitivity[user_rows][:, None] * items.price_gap[product]
    appeal = settings.reaction_quality * items.quality[product]
    click = (
        settings.click_logit
        + settings.click_affinity * felt.product_affinity
        + CLICK_LONG_VIEW * watched["long_view"]
        + appeal
        - CLICK_PRICE * cost
    )
    buy = (
        settings.buy_logit
        + settings.buy_affinity * felt.product_affinity
        + appeal
        - cost
        + settings.buy_discount * items.discount[product]
        + settings.shop_trust * items.trust[product]
    )
    draws = rng.random((2, *item_rows.shape))
    clicked = (product >= 0) & ~watched["skip"] & (draws[0] < sigmoid(click))
    return {"click_product": clicked, "purchase": clicked & (draws[1] < sigmoid(buy))}


def before_leaving(
    world: World, shown: Mask, reactions: Mapping[str, Mask], rng: np.random.Generator
) -> tuple[Mask, Mask]:
    """Examined positions [B, K] and who left [B]; a user may leave after any examined position."""
    settings = world.parameters
    logit = (
        settings.leave_logit
        + settings.leave_skip * reactions["skip"]
        - settings.leave_long * reactions["long_view"]
        + settings.leave_negative * reactions["not_interested"]
    )
    leaves = np.logical_and(shown, rng.random(shown.shape) < sigmoid(logit))
    examined = np.logical_and(shown, np.cumsum(leaves, axis=1) <= leaves)
    return examined, np.logical_or.reduce(leaves, axis=1)
