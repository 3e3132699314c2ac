"""Figures of a classifier's probabilities."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from models.arrays import Vectors


def label_figures(targets: Vectors, scores: Vectors) -> dict[str, float]:
    """AUROC, average precision, F1 at one half, recall at 1 % false positives, ECE and n.

    Args:
        targets: [N] of 1 and 0, both present.
        scores: [N] probabilities.
    """
    flagged = scores >= 0.5
    hits = float((flagged & (targets == 1)).sum())
    false_rates, recalls, _ = roc_curve(targets, scores)
    return {
        "auroc": float(roc_auc_score(targets, scores)),
        "ap": float(average_precision_score(targets, scores)),
        "f1": 2 * hits / max(1.0, float(flagged.sum() + (targets == 1).sum())),
        "recall_at_1pct_fpr": float(recalls[false_rates <= 0.01].max()),
        "ece": calibration_error(targets, scores),
        "n": float(len(targets)),
    }


def calibration_error(
    targets: Vectors, scores: Vectors, weights: Vectors | None = None, bins: int = 15
) -> float:
    """Expected calibration error over bins of equal count (Nixon et al., 2019).

    Args:
        targets: [N] of 1 and 0.
        scores: [N] probabilities.
        weights: [N] of the rows; None is 1.
        bins: how many.
    """
    counted = np.ones(len(scores)) if weights is None else weights.astype(np.float64)
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(float(counted[part] @ (scores[part] - targets[part]))) for part in parts]
    return sum(gaps) / float(counted.sum())


def paired_gain(
    targets: Vectors, scores: Vectors, baseline: Vectors, seed: int, resamples: int = 500
) -> tuple[float, float, float]:
    """Gain in AUROC over a baseline on the same rows, with its 95 % bootstrap interval."""
    rng = np.random.default_rng(seed)
    gains = []
    for _ in range(resamples):
        rows = rng.integers(0, len(targets), len(targets))
        if 0 < targets[rows].mean() < 1:
            better = roc_auc_score(targets[rows], scores[rows])
            gains.append(better - roc_auc_score(targets[rows], baseline[rows]))
    gain = roc_auc_score(targets, scores) - roc_auc_score(targets, baseline)
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(gain), float(low), float(high)
