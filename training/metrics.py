"""Ranking metrics over full rankings, per user, so that intervals can be paired."""

from collections.abc import Callable
from typing import Any

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


def pooled_auc(labels: Floats, scores: Floats) -> float:
    """Area under the ROC curve over all rows; ties count half. NaN where one class is missing."""
    ranks = average_ranks(scores)
    positives = float(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    above = ranks[labels > 0].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def user_aucs(users: Rows, labels: Floats, scores: Floats) -> Floats:
    """[U] area under the ROC curve of each user, NaN for those with one class only.

    Args:
        users: [E] in [0, U). labels: [E] 0 or 1. scores: [E].
    """
    count = int(users.max(initial=-1)) + 1
    order = np.lexsort((scores, users))
    _, place = np.unique(users[order] + 0.0, return_index=True)
    starts = np.zeros(count, np.int64)
    starts[users[order][place]] = place
    ranks = np.empty(len(users))
    ranks[order] = _ranks_of_runs(users[order], scores[order]) - starts[users[order]]
    positives = np.bincount(users, labels, count)
    negatives = np.bincount(users, minlength=count) - positives
    above = np.bincount(users, ranks * labels, count) - positives * (positives + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / (positives * negatives))


def average_ranks(scores: Floats) -> Floats:
    """[E] ranks from 1; equal scores share the mean of theirs."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = _ranks_of_runs(np.zeros(len(scores)), scores[order])
    return ranks


def _ranks_of_runs(groups: NDArray[Any], scores: Floats) -> Floats:
    """[E] places from 1 of rows sorted by group and score; equal rows share the mean."""
    new = np.concatenate([[True], (np.diff(groups) != 0) | (np.diff(scores) != 0)])[: len(scores)]
    run = np.cumsum(new) - 1
    size = np.bincount(run)
    first = np.cumsum(size) - size
    shared: Floats = (first + (size + 1) / 2)[run]
    return shared


def bootstrap_difference(
    ours: Floats, theirs: Floats, seed: int = 0, draws: int = 2000
) -> tuple[float, float, float]:
    """Difference of two means over the same users with its paired 95 % interval.

    Returns:
        (difference, lower, upper).
    """
    gap = ours - theirs
    rng = np.random.default_rng(seed)
    means = np.array([gap[rng.integers(0, len(gap), len(gap))].mean() for _ in range(draws)])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(gap.mean()), float(low), float(high)


def bootstrap_value(
    metric: Callable[[Floats, Floats], float],
    users: Rows,
    labels: Floats,
    scores: Floats,
    draws: int = 300,
) -> tuple[float, float, float]:
    """A metric over all rows with its 95 % interval over users, who are drawn with all their rows.

    Args:
        metric: of labels and scores.
        users: [E]. labels, scores: [E].
        draws: with replacement.

    Returns:
        (value, lower, upper).
    """
    order = np.argsort(users, kind="stable")
    names, starts, counts = np.unique(users[order], return_index=True, return_counts=True)
    rng = np.random.default_rng(0)
    values = []
    for _ in range(draws):
        drawn = rng.integers(0, len(names), len(names))
        sizes = counts[drawn]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = order[np.repeat(starts[drawn], sizes) + within]
        values.append(metric(labels[rows], scores[rows]))
    low, high = np.nanquantile(values, [0.025, 0.975])
    return metric(labels, scores), float(low), float(high)
