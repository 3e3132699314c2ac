import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.candidates import SOURCES, Candidates, merged, unscored

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
