"""Scaling of logits after Platt (1999), and how well probabilities keep what they promise."""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import chi2

from models.arrays import Vectors
from training.metrics import Floats

SLOPES = (0.2, 5.0)
OFFSETS = (-10.0, 10.0)
PRIOR = 5.0  # reactions that it takes to move a slope or the offset by one
BEND = 0.85  # quantile of the logits where the line bends


def bent(logits: Vectors, labels: Vectors) -> tuple[float, float, float, float]:
    """Platt scaling along a line that bends once: what is rare is promised too evenly.

    Few reactions tell little of how to bend a logit: a normal prior holds it where it is.

    Args:
        logits: [E]. labels: [E] 0 or 1.

    Returns:
        Slopes below and above the bend, where it is, and the offset above it (`models.ranker`).
    """
    bend = float(np.quantile(logits, BEND))
    below = np.minimum(logits - bend, 0)

    def loss(at: Floats) -> float:
        z = at[1] * logits + (at[0] - at[1]) * below + at[2]
        prior = ((at[:2] - 1) ** 2).sum() + at[2] ** 2
        return float(np.mean(np.logaddexp(0, z) - labels * z) + prior * PRIOR / len(logits))

    bounds = [SLOPES, SLOPES, OFFSETS]
    found = minimize(loss, np.array([1.0, 1.0, 0.0]), method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), float(found[1]), bend, float(found[2])


def decile_counts(probabilities: Floats, labels: Floats, bins: int = 10) -> tuple[Floats, Floats]:
    """Observed and predicted positives in bins of equal size, lowest probabilities first."""
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, bins)
    seen, expected = ([values[part].sum() for part in parts] for values in (labels, probabilities))
    return np.array(seen, np.float64), np.maximum(np.array(expected, np.float64), 1e-9)


def poisson_interval(counts: Floats) -> tuple[Floats, Floats]:
    """95 % interval of the means behind some counts (Garwood, 1936)."""
    low = np.where(counts > 0, chi2.ppf(0.025, 2 * counts) / 2, 0.0)
    return low, np.asarray(chi2.ppf(0.975, 2 * counts + 2) / 2)
