"""Platt scaling (Platt, 1999) of logits, and how well probabilities keep what they promise."""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import chi2

from models.arrays import Vectors
from training.metrics import Floats

SLOPES = (0.2, 5.0)
PRIOR = 5.0  # reactions that it takes to move slope or offset by one


def platt(logits: Vectors, labels: Vectors) -> tuple[float, float]:
    """Slope and offset that fit ``sigmoid(slope * logit + offset)`` to labels best.

    Few reactions tell little of how to bend a logit: a normal prior holds it where it is.

    Args:
        logits: [E]. labels: [E] 0 or 1.
    """

    def loss(at: Floats) -> float:
        z = at[0] * logits + at[1]
        prior = ((at[0] - 1) ** 2 + at[1] ** 2) * PRIOR / len(logits)
        return float(np.mean(np.logaddexp(0, z) - labels * z) + prior)

    found = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[SLOPES, (-10, 10)])
    return float(found.x[0]), float(found.x[1])


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
