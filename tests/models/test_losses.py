import math

import pytest
import torch

from models.losses import BLOCKED, all_candidates, block, sampled_candidates, softmax_loss


def test_loss_of_even_scores_is_the_log_of_their_number() -> None:
    loss = softmax_loss(torch.zeros(1, 8), torch.tensor([[3, 0]]), torch.tensor([[1.0, 0.0]]))
    assert loss.item() == pytest.approx(math.log(8))


def test_several_targets_weigh_by_the_root_of_their_number() -> None:
    columns, weights = torch.tensor([[0, 1, 2, 3]]), torch.ones(1, 4)
    assert softmax_loss(torch.zeros(1, 8), columns, weights).item() == pytest.approx(
        math.sqrt(4) * math.log(8)
    )


def test_sampling_is_undone_on_average() -> None:
    """With logQ the sampled gradient of the partition function points where the full one does."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    frequency = torch.softmax(torch.randn(200), 0)
    scores = torch.randn(200)
    full = scores.logsumexp(0)
    estimates = []
    for _ in range(300):
        targets = torch.multinomial(frequency, 20, replacement=True, generator=generator)
        drawn = sampled_candidates(targets, frequency, 50, generator)
        estimates.append((scores[drawn.rows] - drawn.log_q).exp().sum())
    assert torch.stack(estimates).mean().log().item() == pytest.approx(full.item(), abs=0.15)


def test_accidental_hits_are_blocked() -> None:
    candidates = all_candidates(5)
    blocked = block(torch.zeros(2, 5), torch.tensor([[1, -1], [4, 0]]), candidates)
    assert (blocked == BLOCKED).tolist() == [
        [False, True, False, False, False],
        [True, False, False, False, True],
    ]


def test_items_outside_the_sample_block_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    candidates = sampled_candidates(torch.tensor([7]), torch.full((100,), 0.01), 1, generator)
    missing = next(row for row in range(100) if candidates.position[row] < 0)
    scores = torch.zeros(1, len(candidates.rows))
    assert torch.equal(block(scores, torch.tensor([[missing]]), candidates), scores)
