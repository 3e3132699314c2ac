"""Shelf, hydrate, filters, selectors: each stage alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.vocabulary import Vocabulary
from models.arrays import Rows
from models.features import ACTION_CODES, UNKNOWN_WATCH_RATIO, empty_history
from serving.feed.candidates import unscored
from serving.feed.contracts import Behaviour, FeedRequest
from serving.feed.explain import nearest_rows
from serving.feed.filters import DEFAULT_FILTERS, Filter, filtered
from serving.feed.hydrate import Viewer, hydrate
from serving.feed.likeness import likeness_space
from serving.feed.rules import DiversityRules, WindowRule
from serving.feed.scorers import interest_scores
from serving.feed.selectors import Choice, Grouping, selected
from serving.feed.shelf import NO_CREATOR, POPULAR_DEPTH, make_shelf
from serving.feed.terms import ANYONE, terms_of
from tests.item_table import item_table

NAMES = Vocabulary(["a", "b", "c", "d"])
SHELF = make_shelf(
    item_table(
        [
            {"creator_id": "x", "duration_ms": 10_000},
            {"creator_id": "y"},
            {"creator_id": "x", "duration_ms": 60_000},
            {"creator_id": None, "duration_ms": 5_000},
        ]
    ),
    np.array([1, 3, 2, 3], np.float32),
)


def viewer(seen: list[int], excluded: list[int]) -> Viewer:
    terms = terms_of(ANYONE, SHELF.facts, 0)
    return Viewer(empty_history(), np.array(seen, np.int64), np.array(excluded, np.int64), terms)


def test_shelf_numbers_creators_and_sorts_by_popularity() -> None:
    assert SHELF.creator_codes.tolist() == [0, 1, 0, NO_CREATOR]
    assert [SHELF.creator_id(row) for row in range(4)] == ["x", "y", "x", None]
    assert SHELF.popular_rows.tolist() == [1, 3, 2, 0]
    assert np.isnan(SHELF.duration_ms[1])


def test_shelf_keeps_only_as_many_popular_rows_as_a_page_can_need() -> None:
    count = POPULAR_DEPTH + 10
    shelf = make_shelf(item_table([{}] * count), np.arange(count, dtype=np.float32))
    assert len(shelf.popular_rows) == POPULAR_DEPTH
    assert shelf.popular_rows[0] == count - 1


def test_hydrate_orders_by_time_and_leaves_unknown_items_out() -> None:
    request = FeedRequest(
        k=1,
        now_ms=100_000,
        recent=(
            Behaviour("a", "like", 40_000),
            Behaviour("gone", "like", 60_000),
            Behaviour("c", "play", 90_000, watch_ms=30_000),
            Behaviour("b", "play", 120_000, watch_ms=3_000),
        ),
        seen=("d", "gone"),
        excluded=("b", "gone"),
    )
    found = hydrate(request, NAMES, SHELF)
    assert found.history.rows.tolist() == [1, 2, 0]
    assert found.history.age_s.tolist() == [0, 10, 60]  # an event of the future has age 0
    names = ["play", "long_view", "like"]  # 30 s watched is a long view
    assert found.history.actions.tolist() == [ACTION_CODES[name] for name in names]
    assert found.history.watch_ratio.tolist() == [UNKNOWN_WATCH_RATIO, 0.5, UNKNOWN_WATCH_RATIO]
    assert sorted(found.seen.tolist()) == [0, 1, 2, 3]
    assert found.excluded.tolist() == [1]


def test_hydrate_of_a_new_user_is_empty() -> None:
    found = hydrate(FeedRequest(k=1, now_ms=0), NAMES, SHELF)
    assert (len(found.history), len(found.seen), len(found.excluded)) == (0, 0, 0)


ROWS = st.lists(st.integers(0, 20), unique=True, max_size=15)


@given(ROWS, ROWS, ROWS)
def test_filters_keep_or_explain_every_row(
    rows: list[int], seen: list[int], excluded: list[int]
) -> None:
    kept, reasons = filtered(
        unscored(np.array(rows, np.int64), "interest"), DEFAULT_FILTERS, viewer(seen, excluded)
    )
    assert kept.rows.tolist() == [row for row in rows if row not in {*seen, *excluded}]
    assert reasons == {
        row: "excluded" if row in excluded else "seen" for row in rows if row in {*seen, *excluded}
    }


def test_any_filter_can_be_added() -> None:
    odd = Filter("odd", lambda rows, _: rows % 2 == 0)
    kept, reasons = filtered(unscored(np.arange(4), "popular"), (odd,), viewer([], []))
    assert (kept.rows.tolist(), reasons) == ([0, 2], {1: "odd", 3: "odd"})


def spread(codes: list[int], k: int, window: int, limit: int) -> list[int]:
    choice = Choice(
        merits=np.zeros(len(codes)),
        unit=np.zeros((len(codes), 2), np.float32),
        diversity=DiversityRules(),
        groupings=[Grouping("creator_spread", np.array(codes), WindowRule(window, limit))],
        small=np.zeros(len(codes), bool),
    )
    return [int(n) for n in selected(choice, k).order]


@pytest.mark.parametrize(
    ("codes", "k", "window", "limit", "expected"),
    [
        ([0, 1, 2, 3], 4, 4, 1, [0, 1, 2, 3]),  # nothing to spread
        ([0, 0, 0, 1, 2], 5, 3, 1, [0, 3, 4, 1, 2]),
        ([0, 0, 0, 1, 2], 5, 3, 2, [0, 1, 3, 2, 4]),
        ([0, 0, 0], 3, 8, 1, [0, 1, 2]),  # nothing else is left
        ([-1, -1, -1, 0], 4, 4, 1, [0, 1, 2, 3]),  # no creator is not a creator
        ([0, 0, 1], 2, 2, 1, [0, 2]),
        ([0, 0], 2, 1, 1, [0, 1]),  # a window of one position spreads nothing
    ],
)
def test_creators_are_spread(
    codes: list[int], k: int, window: int, limit: int, expected: list[int]
) -> None:
    assert spread(codes, k, window, limit) == expected


@given(
    st.lists(st.integers(0, 4), max_size=25),
    st.integers(1, 30),
    st.integers(1, 6),
    st.integers(1, 3),
)
def test_spreading_breaks_its_rule_only_when_nothing_else_is_left(
    codes: list[int], k: int, window: int, limit: int
) -> None:
    order = spread(codes, k, window, limit)
    assert len(order) == len(set(order)) == min(k, len(codes))
    for place, item in enumerate(order):
        near = [codes[i] for i in order[max(0, place - window + 1) : place]]
        if near.count(codes[item]) >= limit:
            left = set(range(len(codes))) - set(order[:place])
            assert all(near.count(codes[i]) >= limit for i in left)


def test_the_score_is_the_best_product_with_an_interest() -> None:
    interests = np.array([[1, 0], [0, 2]], np.float32)
    vectors = np.array([[3, 1], [0, 0], [-1, -1]], np.float32)
    rows: Rows = np.array([0, 2])
    assert interest_scores(interests, vectors, rows).tolist() == [3, -1]


def test_the_nearest_of_the_history_is_the_most_alike_and_none_without_history() -> None:
    vectors = np.array([[1, 9, 50], [-1, 5, 50], [1, 5, 51], [-1, 5, 49]], np.float32)
    space = likeness_space(vectors, 4)
    assert nearest_rows(np.array([0]), np.array([1, 2]), space) == np.array([2])
    assert nearest_rows(np.array([0]), np.array([], np.int64), space) is None


def test_a_coordinate_that_is_large_for_everything_makes_nothing_alike() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 8)).astype(np.float32)
    vectors[:, 0] += 100
    vectors[:, 1] = 7  # says nothing
    unit = likeness_space(vectors, 500).unit(np.arange(500))
    assert abs((unit @ unit.T).mean()) < 0.01
    broken = likeness_space(np.full((3, 2), np.nan, np.float32), 3)
    assert np.isnan(broken.unit(np.array([0]))).all()
    assert likeness_space(np.zeros((0, 2), np.float32), 0).unit(np.array([], np.int64)).shape == (
        0,
        2,
    )
