import numpy as np
import pytest
import torch

from configs.schema import TwoTowerConfig
from models.features import item_features
from tests.training.logs import random_interactions
from training.datasets.interactions import Interactions
from training.examples import draw_completion, draw_next, examples
from training.fit import fit, future_prior
from training.linear import (
    factors,
    history_weights,
    item_item_matrix,
    transitions_matrix,
    with_single_items,
)
from training.log import Log, encode, interaction_matrix
from training.protocols import Split, unseen_users
from training.torch_ranking import part_scores, rank_scores

TOWERS = {"dimensions": 8, "history_length": 20}
FIT = {"epochs": 6, "batch_size": 32, "evaluate_every": 2, "learning_rate": 0.05}
SMALL: dict[str, dict[str, object]] = {"towers": {**TOWERS}, "fit": {**FIT}}


@pytest.fixture(scope="module")
def data() -> Interactions:
    return random_interactions(users=240)


@pytest.fixture(scope="module")
def log(data: Interactions) -> Log:
    return encode(data)


@pytest.fixture(scope="module")
def split(log: Log) -> Split:
    users, items = ([str(n) for n in range(count)] for count in (log.user_count, log.item_count))
    return unseen_users(log, users, items, 1)


def test_examples_hold_each_item_once_and_the_log_first(log: Log) -> None:
    packed = examples(log, 20)
    for rows, logged in zip(packed.rows, packed.logged, strict=True):
        present = rows[rows >= 0]
        assert len(present) == len(torch.unique(present))
        assert not (logged[1:] & ~logged[:-1]).any()
    assert (packed.age_s >= 0).all()


@pytest.mark.parametrize("objective", ["completion", "next"])
def test_what_is_read_is_never_predicted(log: Log, objective: str) -> None:
    packed, generator = examples(log, 20), torch.Generator().manual_seed(0)
    draw = (
        draw_completion(packed, (0.2, 1.0), generator)
        if objective == "completion"
        else draw_next(packed, 3, generator)
    )
    predicted = (draw.future + draw.other) > 0
    assert predicted.any()
    assert draw.read.any()
    assert not (predicted & draw.read).any()
    assert not (predicted & (packed.rows < 0)).any()
    assert packed.positive[draw.future > 0].all()


def test_next_predicts_the_positives_right_after_what_is_read(log: Log) -> None:
    packed = examples(log, 20)
    draw = draw_next(packed, 1, torch.Generator().manual_seed(0))
    for read, future, positive in zip(draw.read, draw.future > 0, packed.positive, strict=True):
        newest_read = int(torch.nonzero(read)[0]) if read.any() else int(read.shape[0])
        if future.any():
            assert future.sum() == 1
            place = int(torch.nonzero(future)[0])
            assert place < newest_read
            assert not positive[place + 1 : newest_read].any()


def test_full_rank_factors_rebuild_the_matrix(log: Log) -> None:
    weights = np.asarray(item_item_matrix(log, "ease", 10.0))
    asked = with_single_items(history_weights(log, 0.0), 1.0)
    counts = np.asarray(interaction_matrix(log).sum(0)).ravel().astype(np.float32)
    left, right = factors(weights, asked, counts, log.item_count, popularity_power=0.3, seed=0)
    assert left @ right.T == pytest.approx(weights, abs=1e-3)


def test_transitions_count_what_followed() -> None:
    data = random_interactions(users=2, events=5)
    log = encode(data)
    positives = log.item_rows[(log.user_rows == 0) & log.positive]
    matrix = transitions_matrix(log).toarray()
    assert matrix[positives[0], positives[1]] > 0
    assert (matrix > 0).sum() <= 2 * 10


def test_prior_follows_counts(log: Log) -> None:
    prior = future_prior(log).numpy()
    assert np.exp(prior).sum() == pytest.approx(1, abs=1e-5)
    counts = np.bincount(log.item_rows[log.positive & log.logged], minlength=log.item_count)
    assert prior[counts.argmax()] > prior[counts.argmin()]


@pytest.mark.parametrize("linear", ["none", "ease"])
@pytest.mark.parametrize("objective", ["completion", "next"])
def test_fitted_towers_know_the_two_tastes(
    data: Interactions, split: Split, linear: str, objective: str
) -> None:
    config = TwoTowerConfig.model_validate(
        SMALL
        | {"linear": {"kind": linear, "dimensions": 4}}
        | {"fit": {**FIT, "objective": objective}}
    )
    seen: list[int] = []
    towers = fit(
        split.train,
        item_features(data.items.to_pylist()),
        config,
        seed=0,
        epochs=6,
        after_epoch=lambda epoch, _: seen.append(epoch),
    )
    learned, by_linear = part_scores(towers, split.valid, 20)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert (np.abs(by_linear).max() > 0) == (linear == "ease")
    found = rank_scores(learned, split.valid).mean("ndcg@10")
    chance = rank_scores(
        np.random.default_rng(0).random(learned.shape).astype(np.float32), split.valid
    ).mean("ndcg@10")
    assert found > 1.2 * chance


def test_same_seed_same_towers(data: Interactions, split: Split) -> None:
    config = TwoTowerConfig.model_validate(SMALL)
    features = item_features(data.items.to_pylist())
    one, two = (fit(split.train, features, config, seed=3, epochs=1) for _ in range(2))
    assert torch.equal(one.item.identity.weight, two.item.identity.weight)


def test_large_catalogues_are_sampled(
    data: Interactions, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.fit.FULL_SOFTMAX_ITEMS", 10)
    config = TwoTowerConfig.model_validate(SMALL | {"fit": {**FIT, "uniform_negatives": 10}})
    features = item_features(data.items.to_pylist())
    towers = fit(split.train, features, config, seed=0, epochs=6)
    learned, _ = part_scores(towers, split.valid, 20)
    popular = np.tile(towers.item.prior[1:].numpy(), (len(learned), 1))
    assert rank_scores(learned, split.valid).mean("ndcg@10") > rank_scores(
        popular, split.valid
    ).mean("ndcg@10")
