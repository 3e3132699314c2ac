"""Softmax losses over a catalogue, whole or sampled."""

from dataclasses import dataclass

import torch
from torch import Tensor

FULL_SOFTMAX_ITEMS = 20_000  # above this, a step scores sampled candidates instead of everything
BLOCKED = -1e4


@dataclass(frozen=True)
class Candidates:
    """The C items that a step scores.

    Attributes:
        rows: [C] item rows. position: [N] their column, or -1.
        log_q: [C] log probability that a step holds each; 0 where all are held.
    """

    rows: Tensor
    position: Tensor
    log_q: Tensor


def all_candidates(item_count: int) -> Candidates:
    """Every item, once."""
    rows = torch.arange(item_count)
    return Candidates(rows, rows, torch.zeros(item_count))


def sampled_candidates(
    targets: Tensor, frequency: Tensor, uniform: int, generator: torch.Generator
) -> Candidates:
    """In-batch targets and uniform negatives (mixed negative sampling, Yang et al. 2020).

    Args:
        targets: [P] item rows that the batch predicts.
        frequency: [N] share of each item among all targets.
        uniform: how many negatives are drawn evenly from the catalogue.
        generator: of the draw.

    Returns:
        Candidates whose `log_q` undoes the sampling (Bengio & Senécal 2008; Yi et al. 2019).
    """
    count = len(frequency)
    drawn = torch.randint(count, (uniform,), generator=generator)
    rows = torch.unique(torch.cat([targets, drawn]))
    position = torch.full((count,), -1)
    position[rows] = torch.arange(len(rows))
    missed = (1 - frequency[rows]) ** len(targets) * (1 - 1 / count) ** uniform
    return Candidates(rows, position, torch.log1p(-missed))


def softmax_loss(scores: Tensor, columns: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of several targets a user, mean over users.

    Each user's weights are divided by the root of their number, so that a long list counts more
    than a short one, but not in proportion.

    Args:
        scores: [B, C]. columns: [B, P] target columns, any value where the weight is 0.
        weights: [B, P], 0 for none.
    """
    log_probability = scores.gather(1, columns.clamp(min=0)) - scores.logsumexp(1, keepdim=True)
    number = (weights > 0).sum(1, keepdim=True).clamp(min=1)
    return -(log_probability * weights / number.sqrt()).sum() / len(scores)


def block(scores: Tensor, rows: Tensor, candidates: Candidates) -> Tensor:
    """Scores [B, C] with each user's own items out of the running.

    Args:
        scores: [B, C]. rows: [B, T] items that the user has met, -1 for none; those among the
            sampled negatives are accidental hits. candidates: of the columns.
    """
    columns = torch.where(rows >= 0, candidates.position[rows.clamp(min=0)], -1)
    widened = torch.cat([scores, scores.new_zeros(len(scores), 1)], 1)
    last = torch.full_like(columns, scores.shape[1])
    blocked = widened.scatter(1, torch.where(columns >= 0, columns, last), BLOCKED)
    return blocked[:, :-1]
