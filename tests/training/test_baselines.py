import numpy as np
import pytest

from tests.training.logs import random_interactions
from training.baselines import FAMILIES, ease_matrix, grid
from training.choose import choose_and_score
from training.log import Log, encode, interaction_matrix
from training.protocols import Split, unseen_users
from training.ranking import METRICS, best_rows, rankable


@pytest.fixture(scope="module")
def log() -> Log:
    return encode(random_interactions())


@pytest.fixture(scope="module")
def parts(log: Log) -> Split:
    users, items = [str(u) for u in range(log.user_count)], [str(n) for n in range(log.item_count)]
    return unseen_users(log, users, items, 1)


def test_ease_solves_its_ridge_problem_column_by_column(log: Log) -> None:
    matrix = interaction_matrix(log).toarray().astype(np.float64)
    weights = ease_matrix(log, 5.0)
    assert not np.diag(weights).any()
    for column in (0, 7):
        others = np.delete(np.arange(log.item_count), column)
        design = matrix[:, others]
        left = design.T @ design + 5.0 * np.eye(len(others))
        exact = np.linalg.solve(left, design.T @ matrix[:, column])
        assert weights[others, column] == pytest.approx(exact, abs=1e-3)


def test_every_baseline_beats_chance_on_two_tastes(parts: Split) -> None:
    chosen = choose_and_score(parts.train, parts.valid, parts.final, parts.test)
    assert set(chosen) == {name for family in FAMILIES for name in family.decays}
    for name, baseline in chosen.items():
        assert set(baseline.row()) == set(METRICS)
        if name != "popularity":
            assert baseline.row()["ndcg@10"] > chosen["popularity"].row()["ndcg@10"]


def test_rankings_hold_neither_seen_items_nor_more_than_there_are(parts: Split) -> None:
    allowed = rankable(parts.test, parts.train.item_count)
    scores = np.random.default_rng(0).random(allowed.shape).astype(np.float32)
    rows = best_rows(scores, allowed, 200)
    for u, ranked in enumerate(rows):
        present = ranked[ranked >= 0]
        assert len(present) == allowed[u].sum()
        assert allowed[u][present].all()
        assert (np.diff(scores[u][present]) <= 0).all()


def test_grid_is_every_combination() -> None:
    assert len(grid(a=[1, 2], b=[3, 4, 5])) == 6
    assert grid() == [{}]
