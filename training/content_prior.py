"""Popularity read off content: a ridge regression on the features that the item tower reads."""

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import lsqr

from models.arrays import Mask, Vectors
from models.features import TOKEN_BUCKETS, ItemFeatures
from models.towers import ContentPrior

PENALTIES = (3.0, 10.0, 30.0, 100.0)
FOLDS = 3
SHARED_BY = 2  # items that must have a feature before it says anything of another item


def content_prior(features: ItemFeatures, log_popularity: Vectors) -> ContentPrior:
    """Ridge regression whose penalty is chosen by cross-validation over the items.

    Args:
        features: of N known items. log_popularity: [N].
    """
    design = content_matrix(features)
    fold = np.arange(len(features)) % FOLDS
    errors = [
        sum(_fold_error(design, log_popularity, fold == f, penalty) for f in range(FOLDS))
        for penalty in PENALTIES
    ]
    weights = _ridge(design, log_popularity, PENALTIES[int(np.argmin(errors))])
    shared = np.asarray((design[:, :TOKEN_BUCKETS] > 0).sum(0)).ravel() >= SHARED_BY
    return ContentPrior(
        torch.from_numpy(weights[:TOKEN_BUCKETS] * shared),
        torch.from_numpy(weights[TOKEN_BUCKETS:]),
        torch.tensor([log_popularity.mean()], dtype=torch.float32),
        torch.from_numpy(shared),
    )


def foretold(prior: ContentPrior, features: ItemFeatures) -> Vectors:
    """[N] log popularity of items by their content alone."""
    weights = torch.cat([prior.tokens, prior.numeric]).numpy()
    predicted: Vectors = content_matrix(features) @ weights + prior.mean.numpy()
    return predicted


def content_matrix(features: ItemFeatures) -> sparse.csr_matrix:
    """[N, TOKEN_BUCKETS + numeric] how often each item has each feature."""
    owners, places = np.nonzero(features.tokens)
    hashed = sparse.csr_matrix(
        (np.ones(len(owners), np.float32), (owners, features.tokens[owners, places])),
        shape=(len(features), TOKEN_BUCKETS),
    )
    return sparse.csr_matrix(sparse.hstack([hashed, features.numeric]), dtype=np.float32)


def _fold_error(design: sparse.csr_matrix, target: Vectors, held: Mask, penalty: float) -> float:
    weights = _ridge(design[~held], target[~held], penalty)
    predicted = design[held] @ weights + target[~held].mean()
    return float(((predicted - target[held]) ** 2).sum())


def _ridge(design: sparse.csr_matrix, target: Vectors, penalty: float) -> Vectors:
    """[columns] weights on top of the target's mean."""
    centred = target - target.mean()
    return np.asarray(lsqr(design, centred, damp=penalty**0.5, iter_lim=100)[0], np.float32)
