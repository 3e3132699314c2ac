"""What a model has to beat: closed-form and counting recommenders, all under one contract.

A baseline is fitted on a log and scores histories. Those that read the history linearly share one
form: scores = weighted history [U, N] @ item-item matrix [N, N].
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import numpy as np
from scipy import linalg, sparse

from models.arrays import Vectors
from models.features import ACTION_CODES, ACTIONS_BY_STRENGTH, STRENGTH_OF_CODE, distinct
from training.log import Log, interaction_matrix, select
from training.protocols import Cases

Parameters = Mapping[str, float]


class Baseline(Protocol):
    """Something that scores every item for every case."""

    def scores(self, cases: Cases, decay: float) -> Vectors:
        """[U, N] scores, higher is better; the r-th newest positive weighs ``decay ** r``."""


@dataclass(frozen=True)
class LinearBaseline:
    """Scores are the weighted positives of the history times one matrix.

    Attributes:
        matrix: [N, N] weights from history item to scored item, dense or sparse.
        read_actions: codes of the actions that count.
    """

    matrix: "Vectors | sparse.csr_matrix"
    read_actions: frozenset[int]

    def scores(self, cases: Cases, decay: float) -> Vectors:
        """[U, N] scores."""
        item_count = self.matrix.shape[0]
        history = weighted_histories(cases, item_count, self.read_actions, decay)
        scored = history @ self.matrix
        return np.asarray(scored.toarray() if sparse.issparse(scored) else scored, np.float32)


@dataclass(frozen=True)
class PopularityBaseline:
    """The same scores for everyone: how many users liked each item.

    Attributes:
        counts: [N].
    """

    counts: Vectors

    def scores(self, cases: Cases, decay: float) -> Vectors:
        """[U, N] scores."""
        return np.repeat(self.counts[None, :], len(cases), axis=0)


@dataclass(frozen=True)
class FactorBaseline:
    """Implicit-feedback matrix factorisation; a user is folded in from the history.

    Attributes:
        factors: [N, F] item factors.
        alpha, regularisation: of Hu, Koren & Volinsky (2008).
        read_actions: codes of the actions that count.
    """

    factors: Vectors
    alpha: float
    regularisation: float
    read_actions: frozenset[int]

    def scores(self, cases: Cases, decay: float) -> Vectors:
        """[U, N] scores."""
        history = weighted_histories(cases, len(self.factors), self.read_actions, decay)
        gram = self.factors.T @ self.factors
        gram += self.regularisation * np.eye(self.factors.shape[1], dtype=np.float32)
        users = np.stack([self._fold_in(gram, row.indices) for row in history])
        scores: Vectors = users @ self.factors.T
        return scores

    def _fold_in(
        self, gram: Vectors, items: "np.ndarray[tuple[int], np.dtype[np.int32]]"
    ) -> Vectors:
        liked = self.factors[items]
        left = gram + self.alpha * liked.T @ liked
        user: Vectors = np.linalg.solve(left, (1 + self.alpha) * liked.sum(0))
        return user


def weighted_histories(
    cases: Cases, item_count: int, read_actions: frozenset[int], decay: float
) -> sparse.csr_matrix:
    """[U, N] weights of what each history holds; the r-th newest weighs ``decay ** r``."""
    indices, weights, offsets = [], [], [0]
    codes = np.array(sorted(read_actions))
    for history in map(distinct, cases.histories):
        rows = history.rows[np.isin(history.actions, codes)]
        indices.append(rows)
        weights.append(decay ** np.arange(len(rows)))
        offsets.append(offsets[-1] + len(rows))
    matrix = sparse.csr_matrix(
        (np.concatenate(weights), np.concatenate(indices), offsets),
        shape=(len(cases), item_count),
        dtype=np.float32,
    )
    matrix.sum_duplicates()
    return matrix


def positive_actions(log: Log) -> frozenset[int]:
    """Codes of the actions that are positives in this log, and of those that outweigh them."""
    positives = np.unique(log.actions[log.positive])
    weakest = STRENGTH_OF_CODE[positives].min()
    liked = [*ACTIONS_BY_STRENGTH[weakest : ACTIONS_BY_STRENGTH.index("unlike")]]
    return frozenset(ACTION_CODES[name] for name in liked)


def all_actions(log: Log) -> frozenset[int]:
    """Codes of every action in this log."""
    return frozenset(int(code) for code in np.unique(log.actions))


def popularity(log: Log, parameters: Parameters) -> PopularityBaseline:
    """Users per item."""
    counts = np.asarray(interaction_matrix(log).sum(0)).ravel()
    return PopularityBaseline(counts.astype(np.float32))


def item_item(log: Log, parameters: Parameters) -> LinearBaseline:
    """Cosine item-item with shrinkage (Sarwar et al. 2001): `shrink` pulls rare pairs to zero."""
    matrix = interaction_matrix(log)
    together = (matrix.T @ matrix).tocoo()
    counts = np.asarray(matrix.sum(0)).ravel()
    norm = np.sqrt(counts[together.row] * counts[together.col]) + parameters["shrink"]
    weights = np.where(together.row == together.col, 0, together.data / norm)
    similarity = sparse.csr_matrix((weights, (together.row, together.col)), shape=together.shape)
    return LinearBaseline(similarity.astype(np.float32), positive_actions(log))


def ease(log: Log, parameters: Parameters) -> LinearBaseline:
    """EASE (Steck 2019, eq. 8): the ridge autoencoder with a zero diagonal; `l2` is its penalty.

    With `everything` it learns from and reads all events, not the positives alone: what people
    are shown tells of what they will be shown.
    """
    if parameters["everything"]:
        everything = replace(log, positive=np.ones(len(log), bool))
        return LinearBaseline(ease_matrix(everything, parameters["l2"]), all_actions(log))
    return LinearBaseline(ease_matrix(log, parameters["l2"]), positive_actions(log))


def ease_matrix(log: Log, l2: float) -> Vectors:
    """[N, N] item-item weights of EASE."""
    matrix = interaction_matrix(log)
    gram = (matrix.T @ matrix).toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += l2
    factor = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    inverse = linalg.cho_solve(factor, np.eye(len(gram), dtype=np.float32), check_finite=False)
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    result: Vectors = weights.astype(np.float32)
    return result


def transitions(log: Log, parameters: Parameters) -> LinearBaseline:
    """First-order transitions: how often one positive directly followed another."""
    positives = select(log, log.positive)
    follows = positives.user_rows[1:] == positives.user_rows[:-1]
    before, after = positives.item_rows[:-1][follows], positives.item_rows[1:][follows]
    shape = (log.item_count, log.item_count)
    counts = sparse.csr_matrix((np.ones(len(before), np.float32), (before, after)), shape=shape)
    totals = np.asarray(counts.sum(1)).ravel() + parameters["shrink"]
    matrix = sparse.diags_array(1 / np.maximum(totals, 1)) @ counts
    return LinearBaseline(sparse.csr_matrix(matrix, dtype=np.float32), positive_actions(log))


def ials(log: Log, parameters: Parameters) -> FactorBaseline:
    """Implicit ALS (Hu, Koren & Volinsky 2008) by the library `implicit`."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    alpha, regularisation = parameters["alpha"], parameters["regularisation"]
    with threadpool_limits(1, "blas"):  # the library parallelises by itself and warns otherwise
        model = AlternatingLeastSquares(
            factors=int(parameters["factors"]),
            regularization=regularisation,
            alpha=alpha,
            iterations=15,
            random_state=0,
        )
        model.fit(interaction_matrix(log), show_progress=False)
    return FactorBaseline(model.item_factors, alpha, regularisation, positive_actions(log))


Fit = Callable[[Log, Parameters], Baseline]


@dataclass(frozen=True)
class Family:
    """Baselines that share a fit.

    Attributes:
        fit: fits one of them.
        grid: the settings to choose from.
        decays: per name of a baseline, the recency decays to choose from.
    """

    fit: Fit
    grid: Sequence[Parameters]
    decays: Mapping[str, Sequence[float]]


def grid(**axes: Sequence[float]) -> list[dict[str, float]]:
    """Every combination of the given values."""
    names = list(axes)
    return [dict(zip(names, values, strict=True)) for values in product(*axes.values())]


FAMILIES = (
    Family(popularity, [{}], {"popularity": [1.0]}),
    Family(item_item, grid(shrink=[0, 3, 10, 30, 100]), {"item_item": [1.0, 0.9, 0.7]}),
    Family(
        ease,
        grid(l2=[30, 100, 300, 800, 2000], everything=[0, 1]),
        {"ease": [1.0], "ease_recency": [0.5, 0.7, 0.8, 0.9, 0.97]},
    ),
    Family(transitions, grid(shrink=[0, 3, 10]), {"transitions": [0.1, 0.3, 0.6, 0.9]}),
    Family(ials, grid(factors=[64], regularisation=[1, 10], alpha=[1, 10]), {"ials": [1.0]}),
)
