"""Ranking metrics over full rankings, per user, so that intervals can be paired."""

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows
from training.log import Ragged

Floats = NDArray[np.float64]


def hits(ranked: Rows, targets: Ragged) -> Mask:
    """[U, K], true where a ranked row is one of the user's targets; rows of -1 never are."""
    found = np.zeros(ranked.shape, bool)
    for u in range(len(ranked)):
        found[u] = np.isin(ranked[u], targets[u])
    return found


def recall(found: Mask, target_counts: Rows, k: int) -> Floats:
    """[U] share of each user's targets within the first k."""
    shares: Floats = found[:, :k].sum(1) / target_counts
    return shares


def ndcg(found: Mask, target_counts: Rows, k: int) -> Floats:
    """[U] normalised discounted cumulative gain at k (Järvelin & Kekäläinen 2002), binary gains."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(target_counts, k) - 1]
    gains: Floats = (found[:, :k] * discount[: found.shape[1]]).sum(1) / ideal
    return gains


def coverage(ranked: Rows, item_count: int) -> float:
    """Share of the catalogue that stands in anyone's ranking."""
    return len(np.unique(ranked[ranked >= 0])) / item_count


def gini(ranked: Rows, item_count: int) -> float:
    """Gini coefficient of how often each item is ranked: 0 all alike, 1 one item has all."""
    counts = np.sort(np.bincount(ranked[ranked >= 0], minlength=item_count)).astype(float)
    if counts.sum() == 0:
        return 0.0
    position = np.arange(1, item_count + 1)
    return float((2 * position - item_count - 1) @ counts / (item_count * counts.sum()))


def bootstrap_ratio(
    ours: Floats, theirs: Floats, seed: int = 0, draws: int = 2000
) -> tuple[float, float, float]:
    """Ratio of two means over the same users with its paired 95 % interval.

    Users are drawn with replacement, for both models alike (Efron & Tibshirani 1993, ch. 13).

    Returns:
        (ratio, lower, upper).
    """
    rng = np.random.default_rng(seed)
    ratios = np.empty(draws)
    for d in range(draws):
        drawn = rng.integers(0, len(ours), len(ours))
        ratios[d] = ours[drawn].mean() / max(theirs[drawn].mean(), 1e-12)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(ours.mean() / max(theirs.mean(), 1e-12)), float(low), float(high)
