"""Who sees a new item first: a two-way match between viewers and items with budget left.

An item looks for the viewers who are nearer to it than most, a viewer for the items nearest to
them; among the best matches chance decides, so that every slot has a known propensity.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.arrays import Mask, Rows, Vectors
from serving.feed.contracts import FeedRequest
from serving.feed.exposure import FIRST, Codes, LadderRules, Rungs

QUANTILES = 33  # of an item's scores among recent viewers
VIEWERS = 512  # remembered by each replica
CLIMBING_PLACES = 1  # of a page at most, so that no first audience waits for what has climbed


@dataclass(frozen=True)
class AudienceRules:
    """How an exploration slot is filled.

    Attributes:
        pool: best matches among which chance decides.
        temperature: of that chance, in units of the match.
        urgency: match that an item gains when it is as late as it can be.
        places: of a page at most, the earliest: what is further down is often not seen, and held
            for nothing until it is released.
        category: match that an item gains by the share of its category in the viewer's history.
    """

    pool: int = 8
    temperature: float = 0.15
    urgency: float = 2.0
    places: int = 3
    category: float = 0.0


@dataclass(frozen=True)
class Openings:
    """E items with exposure budget left, as of one moment.

    Attributes:
        rows: [E] item rows. vectors: [E, D] retrieval vectors.
        tiers: [E] of the ladder. budgets: [E] impressions granted in all.
        late: [E] in [0, 1], how far an item is behind its plan.
        quantiles: [E, QUANTILES] ascending, its scores among recent viewers; all 0 for no viewers.
    """

    rows: Rows
    vectors: Vectors
    tiers: Codes
    budgets: Codes
    late: Vectors
    quantiles: Vectors

    def __len__(self) -> int:
        return len(self.rows)


NOTHING_OPEN = Openings(
    np.empty(0, np.int64),
    np.empty((0, 0), np.float32),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.float32),
    np.empty((0, QUANTILES), np.float32),
)


class LadderExploration:
    """See `serving.feed.contracts.Exploration`; a replica's copy of what the ladder holds.

    Changed and read in one thread.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        """Start without openings; `rng` decides among the best matches."""
        self._rng = rng
        self._rules = AudienceRules()
        self._viewers: deque[Vectors] = deque(maxlen=VIEWERS)
        self._openings = NOTHING_OPEN
        self._budgets: dict[int, int] = {}

    @property
    def viewers(self) -> Vectors:
        """Interests [S, M, D] of the newest viewers."""
        return np.stack(self._viewers) if self._viewers else np.empty((0, 0, 0), np.float32)

    def show(self, openings: Openings, rules: AudienceRules) -> None:
        """Take over a newer copy."""
        self._openings, self._rules = openings, rules
        self._budgets = dict(zip(openings.rows.tolist(), openings.budgets.tolist(), strict=True))

    def tier(self, row: int) -> int | None:
        """See `Exploration.tier`."""
        return self._budgets.get(row)

    def draw(
        self,
        request: FeedRequest,
        interests: Vectors | None,
        keeps: Callable[[Rows], Mask],
        count: int,
        taste: Callable[[Rows], Vectors] | None = None,
    ) -> tuple[Rows, Vectors]:
        """See `Exploration.draw`: first audiences first, then what has climbed already."""
        if interests is not None:
            self._viewers.append(interests)
        openings = self._openings
        if not len(openings):
            return openings.rows, openings.late
        match, count = matches(interests, openings, self._rules), min(count, self._rules.places)
        if taste is not None and self._rules.category:
            match = match + self._rules.category * taste(openings.rows)
        allowed = keeps(openings.rows)
        first = allowed & (openings.tiers == FIRST)
        drawn, chance = self._drawn(match, first, count)
        spare = min(count - len(drawn), CLIMBING_PLACES)
        later, later_chance = self._drawn(match, allowed & ~first, spare)
        return (
            openings.rows[np.concatenate([drawn, later])],
            np.concatenate([chance, later_chance]),
        )

    def _drawn(self, match: Vectors, allowed: Mask, count: int) -> tuple[Rows, Vectors]:
        return sampled(match, allowed, count, self._rules, self._rng)


def nearness(interests: Vectors, vectors: Vectors) -> Vectors:
    """Scores [E] of vectors [E, D]: the best inner product with an interest [M, D]."""
    best: Vectors = (vectors @ interests.T).max(axis=1)
    return best


def viewer_quantiles(viewers: Vectors, vectors: Vectors) -> Vectors:
    """Quantiles [E, QUANTILES] of the scores of items [E, D] among viewers [S, M, D].

    Linear between two scores, as `numpy.quantile` has them, which takes many times as long.
    """
    if not len(viewers):
        return np.zeros((len(vectors), QUANTILES), np.float32)
    best = vectors @ viewers[:, 0].T
    for interest in range(1, viewers.shape[1]):
        np.maximum(best, vectors @ viewers[:, interest].T, out=best)
    best.sort(axis=1)
    places = np.linspace(0, len(viewers) - 1, QUANTILES)
    low = places.astype(np.int64)
    share = (places - low).astype(np.float32)
    levels: Vectors = best[:, low] * (1 - share) + best[:, np.ceil(places).astype(np.int64)] * share
    return levels


def lateness(used: Codes, budgets: Codes, age_ms: Codes, plan_ms: Codes) -> Vectors:
    """How far behind an even pace over its plan each item is: [E] in [0, 1].

    Past its plan an item grows later still, however little is missing: what is nearly complete
    would else wait for ever behind what is new.
    """
    behind: Vectors = np.clip(age_ms / plan_ms - used / budgets, 0.0, 1.0).astype(np.float32)
    return behind


def matches(interests: Vectors | None, openings: Openings, rules: AudienceRules) -> Vectors:
    """Match [E] of one viewer with every opening, from both sides.

    The share of recent viewers who are farther from the item than this one, plus the share of
    openings that are farther from this viewer than the item, plus what its lateness is worth.
    """
    late = rules.urgency * openings.late
    if interests is None:
        return late
    score = nearness(interests, openings.vectors)
    farther = (openings.quantiles < score[:, None]).mean(axis=1)
    place = score.argsort().argsort() / max(len(score) - 1, 1)
    found: Vectors = (farther + place + late).astype(np.float32)
    return found


def sampled(
    match: Vectors, allowed: Mask, count: int, rules: AudienceRules, rng: np.random.Generator
) -> tuple[Rows, Vectors]:
    """Draw at most `count` openings without replacement, by softmax over the best matches.

    Successive draws from a softmax follow the Plackett-Luce model (Plackett 1975).

    Args:
        match: [E]. allowed: [E] false where this viewer may not see the item.
        count: how many. rules: pool and temperature. rng: source of the chance.

    Returns:
        Positions [K] and the probability [K] of each, given those drawn before it.
    """
    open_ = np.flatnonzero(allowed)
    best = open_[np.argsort(-match[open_], kind="stable")[: rules.pool]]
    highest = match[best].max(initial=0.0)
    weights = np.exp((match[best].astype(np.float64) - highest) / rules.temperature)
    weights = np.maximum(weights, np.finfo(np.float64).tiny)
    order = np.argsort(rng.standard_exponential(len(best)) / weights)[: max(count, 0)]
    left = weights.sum() - np.cumsum(weights[order]) + weights[order]
    return best[order], (weights[order] / left).astype(np.float32)


def openings_of(
    rungs: Rungs, rows: Rows, vectors: Vectors, viewers: Vectors, rules: LadderRules, now_ms: int
) -> Openings:
    """What of the ladder has budget left.

    Args:
        rungs: E items. rows: [E] their rows, -1 where the model does not know one.
        vectors: [E, D]; of unknown items anything.
        viewers: [S, M, D] interests of recent viewers.
        rules: of the ladder. now_ms: when `rungs` were read.
    """
    used = rungs.confirmed + rungs.held
    left = np.flatnonzero((rows >= 0) & ~rungs.closed & (used < rungs.budget))
    tiers, budgets = rungs.tier[left], rungs.budget[left]
    plan_ms = np.where(tiers == FIRST, rules.guarantee_ms, rules.lifetime_ms)
    return Openings(
        rows=rows[left],
        vectors=vectors[left],
        tiers=tiers,
        budgets=budgets,
        late=lateness(used[left], budgets, now_ms - rungs.opened_ms[left], plan_ms),
        quantiles=viewer_quantiles(viewers, vectors[left]),
    )
