"""Scores of towers that are still being fitted, for choosing on validation users."""

import numpy as np
import torch
from torch import Tensor

from models.arrays import Vectors
from models.features import batch_histories
from training.fit import Towers
from training.protocols import Cases
from training.ranking import DEPTH, Ranking, batches, best_rows, measured, rankable

BATCH_USERS = 128


@torch.no_grad()
def part_scores(towers: Towers, cases: Cases, history_length: int) -> tuple[Vectors, Vectors]:
    """[U, N] scores of the learned coordinates with popularity, and [U, N] of the linear ones."""
    rows = torch.arange(1, len(towers.features) + 1)
    tokens, numeric = (
        torch.from_numpy(a) for a in (towers.features.tokens, towers.features.numeric)
    )
    history, retrieval = towers.item(rows, tokens, numeric)
    linear = towers.user.linear_dimensions
    split = towers.user.dimensions
    scores: tuple[list[Tensor], list[Tensor]] = ([], [])
    for some in batches(cases, BATCH_USERS):
        interests = user_vectors(towers, some, history, history_length)
        factors = slice(split, split + linear)
        by_factors = interests[:, factors] @ retrieval[:, factors].T
        scores[0].append(interests @ retrieval.T - by_factors)
        scores[1].append(by_factors)
    learned, by_linear = (torch.cat(parts).numpy() for parts in scores)
    return learned, by_linear


def user_vectors(towers: Towers, cases: Cases, history: Tensor, history_length: int) -> Tensor:
    """[U, D] interests of the cases; `history` is [N, H]."""
    batch = batch_histories(list(cases.histories), history_length)
    mask = torch.from_numpy(batch.mask)
    vectors = history[torch.from_numpy(np.maximum(batch.rows, 0))] * mask[..., None]
    actions, ratio, age = (
        torch.from_numpy(a) for a in (batch.actions, batch.watch_ratio, batch.age_s)
    )
    return torch.as_tensor(towers.user(vectors, actions, ratio, age, mask)[:, 0])


def rank_scores(scores: Vectors, cases: Cases) -> Ranking:
    """Rank the whole catalogue by given scores [U, N]."""
    rows = [
        best_rows(scores[start : start + len(some)], rankable(some, scores.shape[1]), DEPTH)
        for start, some in _with_start(cases)
    ]
    return measured(np.concatenate(rows), cases)


def _with_start(cases: Cases) -> list[tuple[int, Cases]]:
    parts = list(batches(cases))
    starts = np.cumsum([0, *(len(part) for part in parts)])
    return [(int(start), part) for start, part in zip(starts, parts, strict=False)]
