import numpy as np
import pytest

from training.log import ragged
from training.metrics import bootstrap_ratio, coverage, gini, hits, ndcg, recall

RANKED = np.array([[3, 1, 2, 0], [0, -1, -1, -1]])
TARGETS = ragged([np.array([1, 7]), np.array([0])])
COUNTS = np.array([2, 1])


def test_recall_counts_all_targets() -> None:
    found = hits(RANKED, TARGETS)
    assert recall(found, COUNTS, 1).tolist() == [0, 1]
    assert recall(found, COUNTS, 4).tolist() == [0.5, 1]


def test_ndcg_by_hand() -> None:
    found = hits(RANKED, TARGETS)
    ideal = 1 + 1 / np.log2(3)
    assert ndcg(found, COUNTS, 4) == pytest.approx([(1 / np.log2(3)) / ideal, 1.0])


def test_missing_rows_are_never_hits() -> None:
    assert not hits(np.array([[-1]]), ragged([np.array([-1])[:0]])).any()


def test_gini_and_coverage_at_their_ends() -> None:
    assert gini(np.array([[0], [0]]), 4) == pytest.approx(0.75)
    assert gini(np.array([[0, 1], [2, 3]]), 4) == pytest.approx(0)
    assert coverage(np.array([[0, 1], [1, -1]]), 4) == 0.5


def test_bootstrap_is_paired() -> None:
    theirs = np.random.default_rng(0).random(200)
    ratio, low, high = bootstrap_ratio(theirs * 1.1, theirs)
    assert (ratio, low, high) == pytest.approx((1.1, 1.1, 1.1))
    assert bootstrap_ratio(theirs[::-1], theirs)[1] < 1 < bootstrap_ratio(theirs[::-1], theirs)[2]
