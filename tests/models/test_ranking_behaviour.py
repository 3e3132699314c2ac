"""What a history says of its user's habits, and what was just shown."""

from typing import Any

import numpy as np
import pytest

from models.arrays import Vectors
from models.features import ACTION_CODES, History, empty_history
from models.ranking_behaviour import (
    JUST,
    LASTING,
    habit_features,
    habits,
    session_features,
    session_weights,
)
from models.ranking_features import READ_ITEMS, Rates, Reading, read
from models.ranking_items import KEYS, branch, item_keys
from models.tasks import TASKS

ITEMS: list[dict[str, Any]] = [
    {"creator_id": "a", "category": "food/tea"},
    {"creator_id": "b", "category": "food/cake"},
    {"creator_id": "c", "category": "music/piano"},
    {"creator_id": None, "category": None},
]
KEYS_OF_ITEMS = item_keys(ITEMS)
LIKE = TASKS.index("like")


def history(*events: tuple[int, str, float]) -> History:
    rows, actions, ages = zip(*events, strict=True)
    codes = np.array([ACTION_CODES[action] for action in actions])
    ratio = np.full(len(rows), -1, np.float32)
    return History(np.array(rows), codes, ratio, np.array(ages, np.float32))


def reading(of: History) -> Reading:
    return read([of], KEYS_OF_ITEMS, np.zeros((len(ITEMS), 2), np.float32))


def rates(user_strength: float = 10.0) -> Rates:
    overall = np.full(len(TASKS), 0.02, np.float32)
    return Rates(overall, 100.0, 5.0, user_strength)


def test_an_item_counts_once_for_each_task_it_was_reacted_to() -> None:
    told = habits(
        [
            history((0, "like", 1), (0, "long_view", 2), (0, "complete", 2), (1, "impression", 3)),
            empty_history(),
        ]
    )
    assert told.shape == (2, 1 + len(TASKS))
    assert told[0, 0] == 2
    by_task = dict(zip(TASKS, told[0, 1:].tolist(), strict=True))
    assert (by_task["like"], by_task["long_view"], by_task["click"]) == (1, 1, 1)
    assert by_task["negative"] == by_task["purchase"] == 0
    assert not told[1].any()


def test_habits_reach_further_back_than_what_is_read_of_items() -> None:
    events = [(row, "impression", float(row)) for row in range(2 * READ_ITEMS)]
    told = habits([history(*events, (2 * READ_ITEMS, "like", 1e6))])
    assert told[0, 0] == 2 * READ_ITEMS + 1
    assert told[0, 1 + LIKE] == 1


def odds(met: int, likes: int, strength: float = 10.0) -> float:
    counts = np.zeros((1, 1 + len(TASKS)), np.float32)
    counts[0, [0, 1 + LIKE]] = met, likes
    features: Vectors = habit_features(counts, rates(strength), [LIKE])
    assert features.shape == (1, 2)
    assert features[0, 1] == pytest.approx(np.log1p(met))
    return float(features[0, 0])


def test_who_never_likes_is_told_from_who_likes_one_in_eighty() -> None:
    assert odds(0, 0) == pytest.approx(0, abs=1e-6)
    assert odds(80, 0) < odds(10, 0) < 0
    assert odds(80, 0) < odds(80, 1) - 1.5
    assert odds(80, 8) > 1
    assert abs(odds(80, 8, strength=1_000)) < abs(odds(80, 8))
    smoothed = (8 + 10 * 0.02) / (80 + 10)
    expected = np.log(smoothed / (1 - smoothed)) - np.log(0.02 / 0.98)
    assert odds(80, 8) == pytest.approx(expected, abs=1e-5)


def test_weights_fall_by_lag_and_end_at_a_pause() -> None:
    seen = history((0, "play", 60), (1, "skip", 120), (2, "play", 9_000), (3, "play", 9_060))
    weights = session_weights(reading(seen))
    np.testing.assert_allclose(weights[0, :4], [1, LASTING, 0, 0])
    assert weights.shape == (1, JUST)
    assert not session_weights(reading(history((0, "play", 3_600.0)))).any()
    assert not session_weights(reading(empty_history())).any()


def test_what_was_just_shown_tires_of_its_like() -> None:
    seen = reading(history((0, "play", 60), (3, "skip", 120)))
    said = session_features(seen, KEYS_OF_ITEMS[None])[0]
    by_creator, by_leaf, by_branch = said.T[:3]
    np.testing.assert_allclose(by_creator, [1, 0, 0, 0])
    np.testing.assert_allclose(by_leaf, [1, 0, 0, 0])
    np.testing.assert_allclose(by_branch, [1, 1, 0, 0])  # what is not known is like nothing
    np.testing.assert_array_equal(said[:, 5], [0, 0, 1, 1])
    assert not session_features(reading(empty_history()), KEYS_OF_ITEMS[None]).any()


def test_a_branch_is_the_first_part_of_a_category() -> None:
    assert [branch(name) for name in ("food/tea", "food", None)] == ["food", "food", None]
    column = KEYS.index("branch")
    assert KEYS_OF_ITEMS[0, column] == KEYS_OF_ITEMS[1, column] != KEYS_OF_ITEMS[2, column]
    assert KEYS_OF_ITEMS[3, column] == 0
