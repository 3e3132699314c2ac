import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.candidates import SOURCES, Candidates, merged, ranked, unscored

ROWS = st.lists(st.integers(0, 30), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(SOURCES), ROWS), min_size=1, max_size=4))
def test_merging_keeps_each_row_once_with_its_first_source(
    parts: list[tuple[str, list[int]]],
) -> None:
    joined = merged([unscored(np.array(rows, np.int64), source) for source, rows in parts])
    first: dict[int, str] = {}
    for source, rows in parts:
        for row in rows:
            first.setdefault(row, source)
    assert joined.rows.tolist() == list(first)
    assert [SOURCES[code] for code in joined.sources] == list(first.values())


@given(st.lists(st.floats(width=32), max_size=30))
def test_ranking_is_by_score_with_nan_last_and_ties_in_order(scores: list[float]) -> None:
    candidates = unscored(np.arange(len(scores)), "interest")
    ranking = ranked(candidates, np.array(scores, np.float32))
    numbers = [n for n, score in enumerate(scores) if not math.isnan(score)]
    missing = [n for n, score in enumerate(scores) if math.isnan(score)]
    assert ranking.rows.tolist() == sorted(numbers, key=lambda n: (-scores[n], n)) + missing
    assert np.array_equal(
        ranking.scores, np.array(scores, np.float32)[ranking.rows], equal_nan=True
    )


def test_equal_scores_keep_the_order_of_their_sources() -> None:
    candidates = unscored(np.array([5, 2, 9]), "popular")
    assert ranked(candidates, np.zeros(3, np.float32)).rows.tolist() == [5, 2, 9]


def test_taking_keeps_the_columns_together() -> None:
    candidates = Candidates(
        np.array([4, 7]),
        np.array([0, 1], np.int8),
        np.array([0.5, 0.25], np.float32),
        np.array([1.0, 0.125], np.float32),
        np.array([False, True]),
    )
    taken = candidates.take(np.array([1]))
    assert (taken.rows[0], taken.sources[0], taken.scores[0]) == (7, 1, 0.25)
    assert (taken.propensity[0], taken.reserve[0]) == (0.125, True)
