"""How alike two items are: the cosine of their retrieval vectors, each coordinate by its spread.

Retrieval vectors carry popularity in coordinates that are large for every item, so that by their
plain cosine everything is like everything else. Taken from its mean and divided by its standard
deviation, each coordinate tells what sets items apart.
"""

from dataclasses import dataclass

import numpy as np

from models.arrays import Rows, VectorRows, Vectors

SAMPLE = 20_000  # items that mean and deviation are taken from
LEAST_SPREAD = 1e-6  # of the largest; less is rounding


@dataclass(frozen=True)
class LikenessSpace:
    """Where items are compared.

    Attributes:
        vectors: [N, D]. mean: [D]. scale: [D], 0 for a coordinate that says nothing.
    """

    vectors: VectorRows
    mean: Vectors
    scale: Vectors

    def unit(self, rows: Rows) -> Vectors:
        """Vectors [K, D] of length 1 whose products are likenesses; of no length stays 0."""
        standard = (np.asarray(self.vectors[rows]) - self.mean) * self.scale
        lengths = np.sqrt(np.einsum("kd,kd->k", standard, standard))
        unit: Vectors = standard / np.maximum(lengths, 1e-12)[:, None]
        return unit


def likeness_space(vectors: VectorRows, count: int) -> LikenessSpace:
    """The space of `count` items; of more than SAMPLE, each so-manieth speaks for the others."""
    rows = np.arange(0, max(count, 1), max(count // SAMPLE, 1))[:count]
    sample = np.asarray(vectors[rows], np.float32)
    finite = sample[np.isfinite(sample).all(axis=1)]
    if not len(finite):
        nothing = np.zeros(sample.shape[1], np.float32)
        return LikenessSpace(vectors, nothing, nothing)
    spread = finite.std(axis=0)
    tells = spread > LEAST_SPREAD * float(spread.max())
    scale = np.where(tells, 1 / np.where(tells, spread, 1), 0).astype(np.float32)
    return LikenessSpace(vectors, finite.mean(axis=0), scale)
