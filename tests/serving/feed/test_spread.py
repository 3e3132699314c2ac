import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.spread import gini, small_creator_share


def test_gini_of_known_spreads() -> None:
    assert gini([5, 5, 5, 5]) == pytest.approx(0.0)
    assert gini([0, 0, 0, 8]) == pytest.approx(0.75)
    assert gini([1, 3]) == pytest.approx(0.25)
    assert gini([]) == gini([0, 0]) == 0.0


@given(st.lists(st.integers(0, 1_000), min_size=2, max_size=40))
def test_gini_is_half_the_mean_difference_over_the_mean(exposures: list[int]) -> None:
    values = np.array(exposures, float)
    if values.sum():
        differences = np.abs(values[:, None] - values[None]).mean()
        assert gini(values) == pytest.approx(differences / (2 * values.mean()))


def test_small_creators_are_those_who_had_little() -> None:
    creators = ["big", "big", "small", "tiny"]
    share, of_creators = small_creator_share(creators, [10, 10, 15, 5], [50, 40, 8, 2])
    assert share == pytest.approx(0.5)
    assert of_creators == pytest.approx(2 / 3)
    assert small_creator_share([], [], []) == (0.0, 0.0)
