"""Platt scaling (Platt, 1999) of logits, and how well probabilities keep what they promise."""

import numpy as np
from scipy.optimize import minimize

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


def decile_ratios(probabilities: Floats, labels: Floats, bins: int = 10) -> list[float]:
    """Observed over predicted share of positives in bins of equal size, lowest first."""
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, bins)
    return [
        float(labels[part].sum() / max(float(probabilities[part].sum()), 1e-9)) for part in parts
    ]
