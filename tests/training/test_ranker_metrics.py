"""AUCs within users and over all, their intervals, and calibration."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.calibration import BEND, bent, decile_counts, poisson_interval
from training.metrics import (
    bootstrap_difference,
    bootstrap_value,
    pooled_auc,
    user_aucs,
)


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    users = random.integers(0, 30, 400)
    labels = (random.random(400) < 0.3).astype(np.float64)
    return users, labels, random.integers(0, 12, 400) + labels


def test_auc_is_scikit_learns_with_ties(rows: tuple[np.ndarray, ...]) -> None:
    users, labels, scores = rows
    assert pooled_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    within = user_aucs(users, labels, scores)
    for user in range(30):
        own = users == user
        if 0 < labels[own].sum() < own.sum():
            expected = roc_auc_score(labels[own], scores[own])
            assert within[user] == pytest.approx(expected)
        else:
            assert np.isnan(within[user])
    assert np.isnan(pooled_auc(np.ones(3), np.arange(3.0)))


def test_intervals_hold_the_value(rows: tuple[np.ndarray, ...]) -> None:
    users, labels, scores = rows
    value, low, high = bootstrap_value(pooled_auc, users, labels, scores)
    assert low < value < high
    assert value == pooled_auc(labels, scores)
    gap, lower, upper = bootstrap_difference(scores + 1, scores)
    assert gap == pytest.approx(1)
    assert [lower, upper] == pytest.approx([1, 1])


def test_a_known_distortion_is_undone() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(-1, 1.5, 80_000)
    labels = (random.random(80_000) < 1 / (1 + np.exp(-truth))).astype(np.float32)
    bend = float(np.quantile(truth, BEND))
    flattened = np.where(truth < bend, bend + (truth - bend) / 3, bend + (truth - bend) / 0.8)
    low, high, at, offset = bent((flattened - 0.7).astype(np.float32), labels)
    assert low == pytest.approx(3, abs=0.1)
    assert high == pytest.approx(0.8, abs=0.1)
    assert at == pytest.approx(bend - 0.7, abs=1e-3)
    assert high * at + offset == pytest.approx(bend, abs=0.1)
    seen, expected = decile_counts(1 / (1 + np.exp(-truth)), labels.astype(np.float64))
    assert len(seen) == len(expected) == 10
    assert seen.sum() == labels.sum()
    assert all(0.8 < ratio < 1.25 for ratio in seen / expected)
    nothing, half = decile_counts(np.full(1000, 0.5), np.zeros(1000))
    assert nothing.tolist() == [0.0] * 10
    assert half.tolist() == [50.0] * 10


def test_few_reactions_bend_little() -> None:
    logits = np.linspace(-8, -4, 1_000).astype(np.float32)
    labels = np.zeros(1_000, np.float32)
    labels[-4:] = 1
    low, high, _, offset = bent(logits, labels)
    assert low == pytest.approx(1, abs=0.5)
    assert high == pytest.approx(1, abs=0.5)
    assert offset == pytest.approx(0, abs=1)


def test_intervals_of_counts_are_those_of_the_tables() -> None:
    low, high = poisson_interval(np.array([0.0, 1.0, 10.0]))
    assert low == pytest.approx([0, 0.0253, 4.795], abs=1e-3)
    assert high == pytest.approx([3.689, 5.572, 18.39], abs=1e-2)
