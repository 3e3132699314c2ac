"""What lifts or lowers the value of a candidate before the page is chosen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors
from models.features import ACTIONS
from serving.feed.candidates import among
from serving.feed.contracts import ItemNames
from serving.feed.facts import UNKNOWN, Facts
from serving.feed.hydrate import Viewer
from serving.feed.rules import Boost, FatigueRules, FeedRules, ReachRules
from serving.feed.signals import SignalBoard
from serving.feed.terms import below

REACTIONS = (
    "long_view",
    "complete",
    "like",
    "comment",
    "share",
    "follow",
    "click_product",
    "add_cart",
    "purchase",
    "rating",
)
IS_REACTION = np.array([name in REACTIONS for name in ACTIONS])  # by code
FEW_ITEMS = 10  # of a history, which tell little of its owner's taste
JUST_SHOWN = 16  # items: about a session
FATIGUE, REACH, BOOSTED, BURIED = "category_fatigue", "wide_reach", "boosted", "buried"


@dataclass(frozen=True)
class Steering:
    """Factors on the values of K candidates.

    Attributes:
        factors: [K], >= 0; 0 puts a candidate behind all others.
        causes: by position among the candidates, the stable code of what steered it most.
    """

    factors: Vectors
    causes: dict[int, str]


def steering(
    rows: Rows,
    rules: FeedRules,
    viewer: Viewer,
    names: ItemNames,
    facts: Facts,
    signals: SignalBoard | None = None,
) -> Steering:
    """Join fatigue, reach, boosts and burials."""
    factors = np.ones(len(rows), np.float32)
    causes: dict[int, str] = {}
    if rules.fatigue.window and rules.asks("selector:fatigue"):
        factors *= freshness(rows, rules.fatigue, viewer, facts)
        causes = dict.fromkeys(np.flatnonzero(factors < 1).tolist(), FATIGUE)
    if signals is not None and rules.reach.loss and rules.asks("selector:reach"):
        left = scarcity(rows, rules.reach, signals)
        causes |= dict.fromkeys(np.flatnonzero(left < factors).tolist(), REACH)
        factors *= left
    for boost in rules.boosts:
        meant = members(rows, boost, names, facts)
        factors[meant] *= boost.factor
        code = BURIED if boost.factor < 1 else BOOSTED
        causes |= dict.fromkeys(np.flatnonzero(meant).tolist(), code)
    return Steering(factors, causes)


def freshness(rows: Rows, rules: FatigueRules, viewer: Viewer, facts: Facts) -> Vectors:
    """What fatigue leaves of the value of each row: [K] in [floor, 1]."""
    categories = facts.column("category")
    shown = viewer.shown[-rules.window :]
    reacted = viewer.history.rows[IS_REACTION[viewer.history.actions]]
    ignored = categories[shown[~among(shown, reacted)]]
    counts = np.bincount(ignored[ignored != UNKNOWN], minlength=len(facts.categories.values) + 1)
    counts[-1] = 0  # where UNKNOWN points
    left: Vectors = np.maximum(1 - rules.loss * counts[categories[rows]], rules.floor)
    return left.astype(np.float32)


def category_share(rows: Rows, viewer: Viewer, facts: Facts) -> Vectors:
    """How much more of each row's category is in the history than was shown last: [K] in [-1, 1].

    A category shown last is one that the viewer has just had; half its share is taken off.
    """
    categories, size = facts.column("category"), len(facts.categories.values) + 1
    met = categories[np.unique(viewer.history.rows)]
    shown = categories[viewer.shown[-JUST_SHOWN:]]
    share = np.bincount(met[met != UNKNOWN], minlength=size) / (len(met) + FEW_ITEMS)
    share -= 0.5 * np.bincount(shown[shown != UNKNOWN], minlength=size) / JUST_SHOWN
    share[-1] = 0.0  # where UNKNOWN points
    found: Vectors = share[categories[rows]].astype(np.float32)
    return found


def scarcity(rows: Rows, rules: ReachRules, signals: SignalBoard) -> Vectors:
    """What is left of the value of each row by how often it was shown: [K] in [1 - loss, 1].

    Linear in the rank of exposure, as the Gini coefficient's gradient is (its definition by ranks:
    Yitzhaki and Schechtman, The Gini Methodology, 2013, chapter 2), so that to first order no
    other price on exposure buys more equality for the same value.
    """
    left: Vectors = 1 - np.float32(rules.loss) * signals.exposure_rank(rows)
    return left


def members(rows: Rows, boost: Boost, names: ItemNames, facts: Facts) -> Mask:
    """True for the rows [K] that a boost means."""
    if boost.kind == "item":
        return np.isin(rows, names.rows([boost.name]))
    if boost.kind == "creator":
        return np.isin(facts.column("creator")[rows], facts.creators.known([boost.name]))
    meant = below(frozenset({boost.name}), facts.categories)
    return np.isin(facts.column("category")[rows], meant)


def merits(values: Vectors, factors: Vectors, absolute: bool = True) -> NDArray[np.float64]:
    """What candidates are chosen by: [K], finite.

    A factor raises a value where it is above 1, whatever the value's sign. What is buried comes
    after all others, and what has no value (NaN) after that.

    Args:
        values: [K]. factors: [K], >= 0.
        absolute: whether 0 means worth nothing; if not, the least of the values does.
    """
    known = np.isfinite(values)
    if not absolute:
        values = values - values[known].min(initial=np.inf if known.any() else 0.0)
    divisors = np.where(factors > 0, factors, 1)
    steered = np.where(values >= 0, values * factors, values / divisors).astype(np.float64)
    low = float(steered[known].min(initial=0.0))
    step = float(steered[known].max(initial=0.0)) - low + 1.0
    steered = np.where(factors > 0, steered, low - step)
    return np.where(known, steered, low - 2 * step)
