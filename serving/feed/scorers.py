"""Scores of candidates."""

import numpy as np

from models.arrays import Rows, VectorRows, Vectors


def interest_scores(interests: Vectors, vectors: VectorRows, rows: Rows) -> Vectors:
    """Return the best inner product of each row with an interest: [K].

    Exact, whatever the index approximates, and the same for items of every source.

    Args:
        interests: [M, D].
        vectors: [N, D].
        rows: [K].
    """
    products = np.asarray(vectors[rows]) @ interests.T
    best: Vectors = products.max(axis=1)
    return best


def popularity_scores(popularity: Vectors, rows: Rows) -> Vectors:
    """Return the popularity of each row: [K]."""
    return np.asarray(popularity[rows])
