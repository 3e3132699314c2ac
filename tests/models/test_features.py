import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features import (
    ACTION_CODES,
    ACTIONS,
    ACTIONS_BY_STRENGTH,
    TOKEN_BUCKETS,
    TOKENS_PER_ITEM,
    UNKNOWN_WATCH_RATIO,
    History,
    action_of,
    actions_of,
    batch_histories,
    character_ngrams,
    distinct,
    hash_token,
    history_vectors,
    item_features,
    item_tokens,
    watch_ratios_of,
)


def history(rows: list[int]) -> History:
    n = len(rows)
    return History(
        np.array(rows, np.int64),
        np.ones(n, np.int64),
        np.full(n, 0.5, np.float32),
        np.arange(n, dtype=np.float32),
    )


@given(st.lists(st.lists(st.integers(0, 99), max_size=9), min_size=1, max_size=5))
def test_batch_keeps_the_newest_events_and_pads_the_rest(lists: list[list[int]]) -> None:
    batch = batch_histories([history(rows) for rows in lists], 4)
    for b, rows in enumerate(lists):
        newest = list(dict.fromkeys(rows))[:4]
        assert batch.rows[b, : len(newest)].tolist() == newest
        assert batch.mask[b].sum() == len(newest)
        assert (batch.actions[b, len(newest) :] == 0).all()
        assert batch.age_s[b, 0] == 0


def test_actions_on_one_item_become_the_strongest_where_the_newest_stood() -> None:
    codes = [ACTION_CODES[name] for name in ("impression", "like", "play", "long_view")]
    past = History(
        np.array([7, 3, 7, 3]),
        np.array(codes),
        np.array([0.1, -1, 0.8, 0.5], np.float32),
        np.array([5, 6, 7, 8], np.float32),
    )
    merged = distinct(past)
    assert merged.rows.tolist() == [7, 3]
    assert merged.actions.tolist() == [ACTION_CODES["play"], ACTION_CODES["like"]]
    assert merged.watch_ratio.tolist() == pytest.approx([0.8, 0.5])
    assert merged.age_s.tolist() == [5, 6]


def test_every_action_has_a_strength() -> None:
    assert sorted(ACTIONS_BY_STRENGTH) == sorted(ACTIONS)


def test_padding_gathers_zeros() -> None:
    table = np.ones((3, 2), np.float32)
    gathered = history_vectors(table, np.array([[2, -1]]))
    assert gathered.tolist() == [[[1, 1], [0, 0]]]


@pytest.mark.parametrize(
    ("event", "watched", "duration", "name"),
    [
        ("play", 18_000, 60_000, "long_view"),
        ("play", 9_000, 9_000, "long_view"),
        ("play", 8_000, 9_000, "play"),
        ("play", 17_999, None, "play"),
        ("play", None, 9_000, "play"),
        ("like", 60_000, 60_000, "like"),
    ],
)
def test_a_play_watched_long_enough_is_a_long_view(
    event: str, watched: float | None, duration: float | None, name: str
) -> None:
    assert action_of(event, watched, duration) == ACTION_CODES[name]
    told = np.array([watched], np.float32), np.array([duration], np.float32)
    assert actions_of([event], *told).tolist() == [ACTION_CODES[name]]


def test_watch_ratio_is_bounded_and_unknown_without_duration() -> None:
    watched = np.array([30, 1e9, np.nan, 10, 10], np.float32)
    durations = np.array([60, 1, 60, 0, np.nan], np.float32)
    unknown = [UNKNOWN_WATCH_RATIO] * 3
    assert watch_ratios_of(watched, durations).tolist() == [0.5, 5, *unknown]


@given(st.text())
def test_tokens_stay_inside_the_table(text: str) -> None:
    assert 1 <= hash_token(text) < TOKEN_BUCKETS


def test_hash_is_the_same_in_every_run() -> None:
    assert hash_token("creator_id=1") == 13939


def test_grams_hold_single_ideographs() -> None:
    assert "红" in character_ngrams("口红 Lipstick")
    assert "lip" in character_ngrams("口红 Lipstick")


def test_length_is_a_feature_by_itself_and_within_each_topic() -> None:
    tokens = item_tokens({"duration_ms": 8_000, "category": "a/b", "tags": ["x"]})
    assert [token for token in tokens if "length" in token] == [
        "length=6",
        "length=6 category=a",
        "length=6 category=a/b",
        "length=6 tag=x",
    ]
    assert not any("length" in token for token in item_tokens({"tags": ["x"]}))


def test_items_may_lack_everything_but_their_id() -> None:
    features = item_features(
        [{"item_id": "a"}, {"item_id": "b", "title": "长" * 500, "price": 9.9}]
    )
    assert features.tokens.shape == (2, TOKENS_PER_ITEM)
    assert not features.tokens[0].any()
    assert features.tokens[1].all() or (features.tokens[1] > 0).sum() <= TOKENS_PER_ITEM
    assert features.numeric[1, 1] == pytest.approx(np.log1p(9.9))
