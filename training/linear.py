"""Item-item models and their low-rank factors, which become coordinates of the two towers."""

import numpy as np
from scipy import sparse

from models.arrays import Vectors
from training.baselines import ease_matrix
from training.log import Log, select, user_offsets

OVERSAMPLING = 20
POWER_ITERATIONS = 3


def transitions_matrix(
    log: Log, longest: int = 20, distance_power: float = 0.5
) -> sparse.csr_matrix:
    """[N, N] how often item j followed item i, decayed by the steps between and by popularity.

    Exponents: 0.5 for i and 0.1 for j, so that frequent items neither swamp nor vanish.
    """
    positives = select(log, log.positive)
    shape = (log.item_count, log.item_count)
    counts = sparse.csr_matrix(shape, dtype=np.float32)
    for step in range(1, longest + 1):
        same = positives.user_rows[step:] == positives.user_rows[:-step]
        pair = (positives.item_rows[:-step][same], positives.item_rows[step:][same])
        weight = np.full(int(same.sum()), step**-distance_power, np.float32)
        counts = counts + sparse.csr_matrix((weight, pair), shape=shape)
    popularity = np.maximum(np.bincount(positives.item_rows, minlength=log.item_count), 1.0)
    scaled = sparse.diags_array(popularity**-0.5) @ counts @ sparse.diags_array(popularity**-0.1)
    return sparse.csr_matrix(scaled, dtype=np.float32)


def history_weights(log: Log, decay: float) -> sparse.csr_matrix:
    """[U, N] each user's positives; the r-th newest weighs ``(r + 1) ** -decay``."""
    positives = select(log, log.positive)
    offsets = user_offsets(positives)
    rank = offsets[positives.user_rows + 1] - 1 - np.arange(len(positives))
    weight = (rank + 1.0) ** -decay
    shape = (log.user_count, log.item_count)
    pairs = (positives.user_rows, positives.item_rows)
    return sparse.csr_matrix((weight.astype(np.float32), pairs), shape=shape)


def factors(
    weights: "Vectors | sparse.csr_matrix",
    asked: sparse.csr_matrix,
    popularity: Vectors,
    rank: int,
    *,
    popularity_power: float,
    seed: int,
) -> tuple[Vectors, Vectors]:
    """Low-rank factors of an item-item matrix that keep what real histories ask of it.

    Minimises the error of ``asked @ weights``, with columns weighed by popularity, by randomised
    subspace iteration (Halko et al. 2011).

    Args:
        weights: [N, N]. asked: [U, N] histories. popularity: [N] counts.
        rank: r.
        popularity_power: how much less an error on popular items counts.
        seed: of the random start.

    Returns:
        History factors [N, r] and retrieval factors [N, r].
    """
    column = (np.maximum(popularity, 1.0) ** -popularity_power).astype(np.float32)
    scaled = weights @ sparse.diags_array(column) if sparse.issparse(weights) else weights * column
    start = np.random.default_rng(seed).standard_normal((len(popularity), rank + OVERSAMPLING))
    basis = start.astype(np.float32)
    for _ in range(POWER_ITERATIONS):
        basis, _ = np.linalg.qr(scaled.T @ (asked.T @ (asked @ (scaled @ basis))))
    answers = asked @ (scaled @ basis)
    _, rotation = np.linalg.eigh(answers.T @ answers)
    retrieval = basis @ rotation[:, ::-1][:, :rank]
    return (
        np.ascontiguousarray(scaled @ retrieval, np.float32),
        np.ascontiguousarray(retrieval / column[:, None], np.float32),
    )


def with_single_items(histories: sparse.csr_matrix, weight: float) -> sparse.csr_matrix:
    """The histories [U, N] and, weighed, one more for each item alone: [U + N, N]."""
    alone = weight * sparse.eye_array(histories.shape[1])
    return sparse.csr_matrix(sparse.vstack([histories, alone]), dtype=np.float32)


def item_item_matrix(log: Log, kind: str, l2: float) -> "Vectors | sparse.csr_matrix":
    """The item-item model of the given kind: ``ease`` or ``transitions``."""
    return ease_matrix(log, l2) if kind == "ease" else transitions_matrix(log)
