"""The latent space that links what items are about with what people like."""

from dataclasses import dataclass

import numpy as np

from models.arrays import Rows, Vectors
from training.datasets.world.parameters import LATENT_DIMENSIONS
from training.datasets.world.vocabulary import leaves

BRANCH_SHARE = 0.3  # of a leaf's direction; the rest is its own
LEAF_SHARE = 0.7  # of a motif's direction


@dataclass(frozen=True)
class Space:
    """Unit directions of L leaves and their motifs in D dimensions.

    Attributes:
        leaves: [L, D]. motifs: [L, 6, D]. branches: [L] branch row of each leaf.
        demand: [L] share of people's interests, sums to 1.
    """

    leaves: Vectors
    motifs: Vectors
    branches: Rows
    demand: Vectors


def draw_space(leaf_skew: float, rng: np.random.Generator) -> Space:
    """Leaves of a branch lie near one another, motifs of a leaf nearer still."""
    vocabulary = leaves()
    branches = np.array([leaf.branch for leaf in vocabulary])
    branch_vectors = random_directions((branches.max() + 1,), rng)
    leaf_vectors = blend(branch_vectors[branches], BRANCH_SHARE, rng)
    motifs = np.repeat(leaf_vectors[:, None], len(vocabulary[0].motifs["en"]), axis=1)
    popularity = (1.0 + rng.permutation(len(vocabulary))) ** -leaf_skew
    return Space(
        leaf_vectors,
        blend(motifs, LEAF_SHARE, rng),
        branches,
        (popularity / popularity.sum()).astype(np.float32),
    )


def blend(towards: Vectors, share: float, rng: np.random.Generator) -> Vectors:
    """Unit vectors [..., D] of which `share` of the squared length is `towards`, the rest noise."""
    noise = random_directions(towards.shape[:-1], rng)
    return unit(np.sqrt(share) * towards + np.sqrt(1.0 - share) * noise)


def random_directions(shape: tuple[int, ...], rng: np.random.Generator) -> Vectors:
    """Random unit vectors [*shape, D]."""
    return unit(rng.standard_normal((*shape, LATENT_DIMENSIONS), dtype=np.float32))


def unit(vectors: Vectors) -> Vectors:
    """The same directions with length 1."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / length).astype(np.float32)
    return scaled
