"""Items that nobody has met: ranked by their content, and what that has to beat."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr

from embeddings.feed_model import FeedModel
from models.arrays import Mask, Rows, Vectors
from models.features import TOKEN_BUCKETS, item_features
from training.baselines import PopularityBaseline, popularity
from training.choose import Chosen, Setting
from training.log import Log
from training.protocols import Cases
from training.ranking import DEPTH, METRICS, Ranking, best_rows, measured, rank_baseline, rankable
from training.two_tower_ranking import interest_batches

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 5


def two_tower_cold_ranking(
    model: FeedModel, cases: Cases, cold: Mask, items: Sequence[Mapping[str, Any]]
) -> Ranking:
    """Rank the cold items by vectors that the item tower makes of their content alone."""
    cold_rows = np.flatnonzero(cold)
    _, vectors = model.embed([items[int(row)] for row in cold_rows])
    bundle_rows = model.vocabulary.rows([str(item["item_id"]) for item in items])
    ranked = []
    for some, interests in interest_batches(model, cases, bundle_rows):
        scores = (interests @ vectors.T).max(axis=1)
        allowed = rankable(some, len(items))[:, cold_rows]
        best = best_rows(scores, allowed, DEPTH)
        ranked.append(np.where(best >= 0, cold_rows[np.maximum(best, 0)], -1))
    return measured(np.concatenate(ranked), cases)


def content_popularity_ranking(
    log: Log, cases: Cases, cold: Mask, items: Sequence[Mapping[str, Any]]
) -> Chosen:
    """Rank the cold items by a popularity that a ridge regression reads off their content."""
    counts = popularity(log, {}).counts
    design = content_matrix(items)
    penalty, predicted = predicted_popularity(design, np.log1p(counts), ~cold)
    setting = Setting("popularity", {"penalty": penalty}, 1.0)
    ranking = rank_baseline(PopularityBaseline(predicted), cases, 1.0, len(items))
    return Chosen(dict.fromkeys(METRICS, setting), dict.fromkeys(METRICS, ranking))


def content_matrix(items: Sequence[Mapping[str, Any]]) -> sparse.csr_matrix:
    """[N, buckets + numeric + 1] the content features that the item tower reads, and a constant."""
    features = item_features(items)
    owners, places = np.nonzero(features.tokens)
    hashed = sparse.csr_matrix(
        (np.ones(len(owners)), (owners, features.tokens[owners, places])),
        shape=(len(items), TOKEN_BUCKETS),
    )
    constant = np.ones((len(items), 1))
    return sparse.csr_matrix(sparse.hstack([hashed, features.numeric, constant]))


def predicted_popularity(
    design: sparse.csr_matrix, target: Vectors, known: Mask
) -> tuple[float, Vectors]:
    """Ridge regression on the known items; its penalty is chosen by cross-validation on them.

    Returns:
        The penalty and [N] predictions.
    """
    rows = np.flatnonzero(known)
    folds = np.arange(len(rows)) % FOLDS
    errors = [
        sum(_fold_error(design, target, rows, folds == f, penalty) for f in range(FOLDS))
        for penalty in PENALTIES
    ]
    penalty = PENALTIES[int(np.argmin(errors))]
    return penalty, _ridge(design[rows], target[rows], design, penalty)


def _fold_error(
    design: sparse.csr_matrix, target: Vectors, rows: Rows, held: Any, penalty: float
) -> float:
    fitted, tested = rows[~held], rows[held]
    predicted = _ridge(design[fitted], target[fitted], design[tested], penalty)
    return float(((predicted - target[tested]) ** 2).sum())


def _ridge(
    design: sparse.csr_matrix, target: Vectors, queries: sparse.csr_matrix, penalty: float
) -> Vectors:
    centre = float(target.mean())
    weights = lsqr(design, target - centre, damp=float(np.sqrt(penalty)), iter_lim=300)[0]
    return np.asarray(queries @ weights + centre, np.float32)
