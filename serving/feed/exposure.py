"""The exploration ladder: every new item gets a first audience, and climbs while people like it.

An item's score is a weighted sum of reaction rates. It is promoted when the lower end of the
score's confidence interval beats the bar of the next tier, a multiple of the score of like content
in the same tier. All functions are pure; what is granted is written by ``serving.live.exposure``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask

REACTIONS = ("completion", "like", "comment", "share", "follow")
NO_GRADE = ""
FIRST = 0  # tier of the first audience

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class Step(StrEnum):
    """What becomes of an item on the ladder."""

    PROMOTED = "promoted"
    DEMOTED = "demoted"
    EXPIRED = "expired"


@dataclass(frozen=True)
class LadderRules:
    """Limits of the ladder.

    Attributes:
        first: impressions of the first audience by shop grade; NO_GRADE for items of no shop.
        history_span: share by which a creator's history may raise or lower the first audience.
        tiers: impressions granted in all after each promotion, ascending.
        bars: of each tier, as a multiple of the score of like content.
        weights: of ``REACTIONS``, summing to 1.
        confidence: width of the interval in standard errors.
        like_content: impressions by which an item's score leans on like content, and like content
            of one category on that of its kind.
        least_impressions: before which nothing is decided.
        guarantee_ms: over which the first audience is to be found.
        lifetime_ms: after which an item leaves the ladder.
    """

    first: Mapping[str, int]
    history_span: float
    tiers: tuple[int, ...]
    bars: tuple[float, ...]
    weights: tuple[float, ...]
    confidence: float
    like_content: float
    least_impressions: int
    guarantee_ms: int
    lifetime_ms: int


@dataclass(frozen=True)
class Rungs:
    """E items on the ladder, which leave it when their time is over.

    Attributes:
        item_ids: [E].
        tier: [E] 0 for the first audience. budget: [E] impressions granted in all.
        confirmed: [E] impressions that were seen. held: [E] served and not seen yet.
        opened_ms: [E] when the first audience was granted.
        closed: [E] true where no more is served at the ladder's expense.
        viewers: [E] distinct people who saw the item, wherever. reactions: [E, len(REACTIONS)].
        kind, category: [E] codes of like content; -1 where not known.
    """

    item_ids: tuple[str, ...]
    tier: Codes
    budget: Codes
    confirmed: Codes
    held: Codes
    opened_ms: Codes
    closed: Mask
    viewers: Floats
    reactions: Floats
    kind: Codes
    category: Codes

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class Move:
    """One item's next place; applying it twice changes nothing more.

    Attributes:
        tier: where the item stands when the move was decided. to: where it goes.
        budget: impressions granted in all from now on.
    """

    item_id: str
    step: Step
    tier: int
    to: int
    budget: int


def first_budget(grade: str | None, standing: float, rules: LadderRules) -> int:
    """Impressions of an item's first audience.

    Args:
        grade: of its shop; None where it has none.
        standing: of its creator by former items, in [-1, 1]; 0 where nothing is known.
        rules: of the ladder.
    """
    base = rules.first.get(grade or NO_GRADE, rules.first[NO_GRADE])
    least, most = min(rules.first.values()), max(rules.first.values())
    return round(min(max(base * (1.0 + rules.history_span * standing), least), most))


def creator_standing(promoted: int, decided: int) -> float:
    """What former items say of a creator, in [-1, 1]: their promoted share, shrunk to 0."""
    return (2.0 * promoted - decided) / (decided + 4.0)


def rates(viewers: Floats, reactions: Floats, like: Floats, weight: float) -> Floats:
    """Reaction rates [E, R] that lean on those of like content [E, R] by `weight` impressions."""
    leaned: Floats = (reactions + weight * like) / (viewers[:, None] + weight)
    return leaned


def scores(found: Floats, rules: LadderRules) -> Floats:
    """Quality scores [E] of rates [E, R]."""
    total: Floats = found @ np.asarray(rules.weights)
    return total


def standard_errors(found: Floats, viewers: Floats, rules: LadderRules) -> Floats:
    """Standard errors [E] of quality scores.

    At most this, however reactions go together: the deviation of a sum is at most the sum of
    deviations (Minkowski).
    """
    deviations = np.sqrt(found * (1.0 - found)) @ np.asarray(rules.weights)
    errors: Floats = deviations / np.sqrt(viewers + rules.like_content)
    return errors


def like_content(rungs: Rungs, rules: LadderRules) -> Floats:
    """Reaction rates [E, R] of like content: of all that came as far, the same kind and category.

    What has climbed on stays in the comparison, else each tier would be measured against those
    that were left behind.
    """
    found = np.zeros_like(rungs.reactions)
    category = rungs.kind * (rungs.category.max(initial=0) + 2) + rungs.category + 1
    for tier in np.unique(rungs.tier).tolist():
        peers, here = rungs.tier >= tier, rungs.tier == tier
        whole = group_rates(np.zeros(len(rungs), np.int64), peers, rungs, None, rules)
        kind = group_rates(rungs.kind, peers, rungs, whole, rules)
        found[here] = group_rates(category, peers, rungs, kind, rules)[here]
    return found


def group_rates(
    group: Codes, peers: Mask, rungs: Rungs, above: Floats | None, rules: LadderRules
) -> Floats:
    """Rates [E, R] of the peers in each item's group, leaning on those of the wider group.

    A group leans ten times as hard as an item: a category has few items.
    """
    _, member = np.unique(group, return_inverse=True)
    count = int(member.max(initial=-1)) + 1
    viewers, reactions = np.zeros(count), np.zeros((count, len(REACTIONS)))
    np.add.at(viewers, member[peers], rungs.viewers[peers])
    np.add.at(reactions, member[peers], rungs.reactions[peers])
    weight = 0.0 if above is None else 10.0 * rules.like_content
    wider = 0.0 if above is None else above
    found: Floats = (reactions[member] + weight * wider) / np.maximum(
        viewers[member, None] + weight, 1.0
    )
    return found


def decided(rungs: Rungs, rules: LadderRules, now_ms: int) -> list[Move]:
    """Moves of the items that climb, fall or have had their time; at most one each."""
    like = like_content(rungs, rules)
    found = rates(rungs.viewers, rungs.reactions, like, rules.like_content)
    score, bar = scores(found, rules), scores(like, rules)
    error = rules.confidence * standard_errors(found, rungs.viewers, rules)
    complete = (rungs.tier > FIRST) | (rungs.confirmed >= rungs.budget)  # it is guaranteed
    known = complete & (rungs.viewers >= rules.least_impressions)
    climbing = known & (rungs.tier < len(rules.tiers))
    bars = np.append(rules.bars, 1.0)[rungs.tier]  # from the highest tier nothing climbs
    promoted = climbing & (score - error > bars * bar)
    demoted = ~rungs.closed & known & (rungs.tier > FIRST) & (score + error < bar)
    expired = now_ms - rungs.opened_ms >= rules.lifetime_ms
    return [
        _move(rungs, e, rules, Step.EXPIRED if expired[e] else _step(bool(promoted[e])))
        for e in np.flatnonzero(promoted | demoted | expired).tolist()
    ]


def _step(promoted: bool) -> Step:
    return Step.PROMOTED if promoted else Step.DEMOTED


def _move(rungs: Rungs, e: int, rules: LadderRules, step: Step) -> Move:
    tier = int(rungs.tier[e])
    if step is Step.PROMOTED:
        return Move(rungs.item_ids[e], step, tier, tier + 1, rules.tiers[tier])
    return Move(rungs.item_ids[e], step, tier, tier, int(rungs.confirmed[e] + rungs.held[e]))
