"""Who sees a new item first: a two-way match between viewers and items with budget left.

An item looks for the viewers who are nearer to it than most, a viewer for the items nearest to
them; among the best matches chance decides, so that every slot has a known propensity.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors

QUANTILES = 33  # of an item's scores among recent viewers
FAR = -1e9


@dataclass(frozen=True)
class AudienceRules:
    """How an exploration slot is filled.

    Attributes:
        pool: best matches among which chance decides.
        temperature: of that chance, in units of the match.
        urgency: match that an item gains when it is as late as it can be.
    """

    pool: int
    temperature: float
    urgency: float


@dataclass(frozen=True)
class Openings:
    """E items with exposure budget left, as of one moment.

    Attributes:
        rows: [E] item rows. vectors: [E, D] retrieval vectors.
        late: [E] in [0, 1], how far an item is behind its plan.
        quantiles: [E, QUANTILES] ascending, its scores among recent viewers.
        tiers: [E] of the ladder.
    """

    rows: Rows
    vectors: Vectors
    late: Vectors
    quantiles: Vectors
    tiers: Rows

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Drawn:
    """Items for exploration slots in the order they were drawn.

    Attributes:
        rows: [K]. propensity: [K] probability of each, given those drawn before it.
    """

    rows: Rows
    propensity: NDArray[np.float64]


def nearness(interests: Vectors, vectors: Vectors) -> Vectors:
    """Scores [E] of vectors [E, D]: the best inner product with an interest [M, D]."""
    best: Vectors = (vectors @ interests.T).max(axis=1)
    return best


def viewer_quantiles(viewers: Vectors, vectors: Vectors) -> Vectors:
    """Quantiles [E, QUANTILES] of the scores of items [E, D] among viewers [S, M, D]."""
    found = np.einsum("smd,ed->esm", viewers, vectors).max(axis=2)
    steps = np.linspace(0.0, 1.0, QUANTILES)
    return np.quantile(found, steps, axis=1).T.astype(np.float32)


def lateness(used: Vectors, budget: Vectors, age_ms: Vectors, plan_ms: Vectors) -> Vectors:
    """How far behind an even pace over its plan each item is: [E] in [0, 1]."""
    due = np.minimum(age_ms / np.maximum(plan_ms, 1), 1.0)
    behind: Vectors = np.clip(due - used / np.maximum(budget, 1), 0.0, 1.0)
    return behind.astype(np.float32)


def matches(interests: Vectors, openings: Openings, rules: AudienceRules) -> Vectors:
    """Match [E] of one viewer with every opening: the share of viewers who are farther from the
    item, plus how high the item stands with this viewer, plus what its lateness is worth."""
    score = nearness(interests, openings.vectors)
    nearer = (openings.quantiles <= score[:, None]).mean(axis=1)
    place = score.argsort().argsort() / max(len(score) - 1, 1)
    found: Vectors = nearer + place + rules.urgency * openings.late
    return found.astype(np.float32)


def drawn(
    match: Vectors, openings: Openings, allowed: Mask, count: int, rules: AudienceRules,
    rng: np.random.Generator,
) -> Drawn:
    """Draw at most `count` of the openings without replacement (Plackett-Luce).

    Args:
        match: [E]. openings: [E].
        allowed: [E] false where this viewer may not see the item.
        count: slots to fill.
        rules: pool and temperature.
        rng: source of the chance.
    """
    open_ = np.flatnonzero(allowed)
    best = open_[np.argsort(-match[open_], kind="stable")[: rules.pool]]
    weights = np.exp((match[best].astype(np.float64) - match[best].max(initial=FAR)) / rules.temperature)
    order = np.argsort(-np.log(rng.random(len(best))) / np.maximum(weights, 1e-300))[:count]
    gone = np.cumsum(weights[order]) - weights[order]
    return Drawn(openings.rows[best[order]], weights[order] / (weights.sum() - gone))
