"""The value formula: what the ranker predicts for an item, in one number."""

import numpy as np

from models.arrays import Mask, Vectors
from models.tasks import PREDICTIONS
from serving.feed.rules import ValueWeights

OF_COMMERCE = np.array([name in ("click_product", "purchase") for name in PREDICTIONS])


def contributions(predictions: Vectors, weights: ValueWeights, commerce: Mask) -> Vectors:
    """What each prediction adds to the value of each item: [K, len(PREDICTIONS)].

    A task that the ranker does not know (a column of NaN) adds nothing, unless there is nothing
    that it knows; the tasks of commerce add something to commerce items only.

    Args:
        predictions: [K, len(PREDICTIONS)].
        weights: of one surface.
        commerce: [K] true for a product, or content that carries products.
    """
    parts = predictions * weights.signed
    unknown = np.isnan(predictions).all(axis=0)
    if not unknown.all():
        parts[:, unknown] = 0.0
    parts[:, OF_COMMERCE] = np.where(commerce[:, None], parts[:, OF_COMMERCE], 0.0)
    return parts


def values_of(parts: Vectors) -> Vectors:
    """The values [K] of contributions [K, P]; NaN where the ranker gave a NaN."""
    total: Vectors = parts.sum(axis=1)
    return total
