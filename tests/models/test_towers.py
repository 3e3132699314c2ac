from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.export import ParityError, export
from models.features import ACTION_CODES, ACTIONS
from models.towers import (
    AGE_BUCKETS,
    GROUPS,
    RATIO_BUCKETS,
    ItemTower,
    LinearFactors,
    UserTower,
    age_bucket,
    group_of_action,
    ratio_bucket,
)

ITEMS, LEARNED, LINEAR, LENGTH = 30, 8, 4, 6


def item_tower(seed: int = 0) -> ItemTower:
    torch.manual_seed(seed)
    factors = LinearFactors(torch.randn(ITEMS, LINEAR), torch.randn(ITEMS, LINEAR))
    return ItemTower(LEARNED, torch.randn(ITEMS), factors).eval()


def user_tower(seed: int = 0) -> UserTower:
    torch.manual_seed(seed)
    tower = UserTower(LEARNED, LINEAR, linear_decay=0.5, temperature=0.2).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return tower


def histories(users: int, events: int = 4) -> dict[str, Tensor]:
    torch.manual_seed(users)
    mask = (torch.arange(LENGTH) < events).repeat(users, 1)
    return {
        "history_vectors": torch.randn(users, LENGTH, LEARNED + LINEAR) * mask[..., None],
        "actions": torch.randint(1, len(ACTIONS), (users, LENGTH)) * mask,
        "watch_ratio": torch.rand(users, LENGTH),
        "age_s": torch.rand(users, LENGTH).cumsum(1) * 1e5,
        "mask": mask,
    }


def content(items: int) -> dict[str, Tensor]:
    torch.manual_seed(items)
    return {
        "item_rows": torch.arange(items) % (ITEMS + 1),
        "tokens": torch.randint(0, 50, (items, 64)),
        "numeric": torch.rand(items, 4),
    }


def test_every_action_belongs_to_one_group() -> None:
    named = [name for names in GROUPS.values() for name in names]
    assert sorted([*named, "padding"]) == sorted(ACTIONS)
    assert int(group_of_action()[ACTION_CODES["like"]]) == list(GROUPS).index("loved")


def test_dimensions() -> None:
    history, retrieval = item_tower()(*content(5).values())
    assert history.shape == (5, LEARNED + LINEAR)
    assert retrieval.shape == (5, LEARNED + LINEAR + 2)
    assert user_tower()(*histories(3).values()).shape == (3, 1, LEARNED + LINEAR + 2)


def test_padding_changes_nothing() -> None:
    tower, short = user_tower(), histories(2, events=3)
    longer = {name: torch.cat([value, value * 0], 1) for name, value in short.items()}
    assert torch.allclose(tower(*short.values()), tower(*longer.values()), atol=1e-5)


def test_one_more_event_changes_the_answer() -> None:
    tower = user_tower()
    assert not torch.allclose(
        tower(*histories(1, events=3).values()), tower(*histories(1, events=4).values())
    )


def test_unknown_items_stand_by_their_content() -> None:
    tower = item_tower()
    given = content(2) | {"item_rows": torch.tensor([0, 0])}
    same = given | {"tokens": given["tokens"][:1].repeat(2, 1), "numeric": torch.zeros(2, 4)}
    _, retrieval = tower(*same.values())
    assert torch.equal(retrieval[0], retrieval[1])
    assert not torch.equal(tower(*given.values())[1][0], tower(*given.values())[1][1])


def test_linear_part_is_the_weighted_sum_of_the_positives() -> None:
    tower, factors = user_tower(), torch.randn(1, 3, LINEAR)
    groups = torch.tensor([[[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]]).float()
    expected = factors[0, 0] + factors[0, 2] * 2**-0.5
    assert torch.allclose(tower.evidence(factors, groups)[0], expected)


def test_buckets_are_ordered_and_open_at_the_end() -> None:
    assert age_bucket(torch.tensor([0.0, 60, 3600, 1e12])).tolist() == [0, 0, 2, AGE_BUCKETS - 1]
    ratios = torch.tensor([-1.0, 0, 0.2, 0.7, 1.0, 4.0])
    assert ratio_bucket(ratios).tolist() == list(range(RATIO_BUCKETS))


@pytest.mark.parametrize("batches", [(1, 7)])
def test_export_computes_the_same(tmp_path: Path, batches: tuple[int, ...]) -> None:
    user = [histories(b, events=e) for b, e in zip(batches, (0, LENGTH), strict=True)]
    path = tmp_path / "user_tower.onnx"
    assert export(user_tower(), histories(3), ["interests"], path, user) <= 1e-4
    names = ["history_vectors", "retrieval_vectors"]
    items = [content(b) for b in batches]
    assert export(item_tower(), content(3), names, tmp_path / "item_tower.onnx", items) <= 1e-4


class Drifting(torch.nn.Module):
    """Answers differently each time, as no exported graph can."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, numbers: Tensor) -> Tensor:
        self.calls += 1
        return numbers + float(self.calls)


def test_disparity_fails_the_export(tmp_path: Path) -> None:
    inputs: Mapping[str, Tensor] = {"numbers": torch.ones(2, 3)}
    with pytest.raises(ParityError, match="differs from torch"):
        export(Drifting(), inputs, ["out"], tmp_path / "drifting.onnx", [inputs])
