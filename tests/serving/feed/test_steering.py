"""Fatigue, boosts, burials and what they do to a page."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tasks import TASKS
from serving.feed.contracts import Behaviour, FeedRequest
from serving.feed.engine import FeedEngine
from serving.feed.hydrate import hydrate
from serving.feed.rules import (
    Boost,
    DiversityRules,
    FatigueRules,
    Pin,
    ReachRules,
    SmallCreatorRules,
)
from serving.feed.shelf import make_shelf
from serving.feed.signals import FEW, SignalBoard
from serving.feed.spread import gini
from serving.feed.steering import category_share, freshness, merits, scarcity
from tests.item_table import item_table
from tests.serving.feed.fixed_model import HISTORY_LENGTH, NOW_MS, RULES, ring_model
from tests.serving.feed.test_engine import ids, liked

MODEL = ring_model(24)
ITEMS = [{"creator_id": f"c-{n}", "category": "tea/green" if n % 2 else "shoes"} for n in range(24)]
SHELF = make_shelf(item_table(ITEMS), MODEL.popularity)
ENGINE = FeedEngine(MODEL, SHELF, HISTORY_LENGTH)


def test_a_category_shown_without_reaction_loses_and_one_reacted_to_does_not() -> None:
    request = FeedRequest(
        3,
        NOW_MS,
        recent=(Behaviour("item-1", "like", NOW_MS), Behaviour("item-4", "skip", NOW_MS)),
        seen=("item-0", "item-1", "item-2", "item-4"),
    )
    viewer = hydrate(request, MODEL.vocabulary, SHELF)
    rules = FatigueRules(window=3, loss=0.2, floor=0.5)
    left = freshness(np.array([6, 7]), rules, viewer, SHELF.facts)
    assert left == pytest.approx([0.6, 1.0])  # item-0 is too long ago, item-1 was liked
    deep = replace(rules, window=9, loss=0.4)
    assert freshness(np.array([6]), deep, viewer, SHELF.facts) == pytest.approx([0.5])


def test_a_category_is_to_taste_by_the_history_less_what_was_just_shown() -> None:
    recent = tuple(Behaviour(f"item-{n}", "play", NOW_MS) for n in (1, 3, 5, 0, 5))
    viewer = hydrate(
        FeedRequest(3, NOW_MS, recent=recent, seen=("item-1", "item-0", "item-2")),
        MODEL.vocabulary,
        SHELF,
    )
    found = category_share(np.array([7, 6]), viewer, SHELF.facts)
    assert found == pytest.approx([3 / 14 - 0.5 / 16, 1 / 14 - 1 / 16])
    nobody = hydrate(FeedRequest(3, NOW_MS), MODEL.vocabulary, SHELF)
    assert category_share(np.array([7]), nobody, SHELF.facts).tolist() == [0.0]


def test_what_was_shown_more_often_than_others_loses_by_its_rank() -> None:
    board = SignalBoard(SHELF.facts)
    reach = ReachRules(loss=0.4)
    assert scarcity(np.array([0, 23]), reach, board).tolist() == [1.0, 1.0]
    shown = np.array([80, 30, 30, 20, 0], np.float32)  # 40 each of those that were shown
    board.show(shown, np.zeros((5, len(TASKS)), np.float32))
    left = scarcity(np.array([0, 1, 2, 3, 4, 23]), reach, board)
    sure = 40 / (40 + FEW)
    assert left == pytest.approx(1 - 0.4 * sure * np.array([0.75, 0.25, 0.25, 0, 0, 0]), abs=1e-6)


def test_a_few_impressions_hardly_cost_reach() -> None:
    board = SignalBoard(SHELF.facts)
    board.show(np.array([2, 1, 0], np.float32), np.zeros((3, len(TASKS)), np.float32))
    assert scarcity(np.array([0]), ReachRules(loss=0.4), board)[0] > 0.95


@given(st.lists(st.integers(0, 50), max_size=21))
def test_moving_an_impression_to_who_has_less_reach_lowers_the_gini(shown: list[int]) -> None:
    board, counts = SignalBoard(SHELF.facts), np.array([*shown, 0, 1, 53], np.float32)
    board.show(counts, np.zeros((len(counts), len(TASKS)), np.float32))
    rank = board.exposure_rank(np.arange(len(counts)))
    fairer = counts.copy()
    fairer[rank.argmax()] -= 1
    fairer[rank.argmin()] += 1
    assert gini(fairer) < gini(counts)


def test_reach_moves_a_page_and_says_so_unless_it_is_off() -> None:
    board = SignalBoard(SHELF.facts)
    engine = replace(ENGINE, signals=board)
    rules = replace(RULES, reach=ReachRules(loss=0.5))
    request = FeedRequest(3, NOW_MS, liked(10, 3), explain=True)
    before = ids(engine.feed(request, rules))
    shown = np.ones(24, np.float32)
    shown[int(before[0].removeprefix("item-"))] = 10_000
    board.show(shown, np.zeros((24, len(TASKS)), np.float32))
    page = engine.feed(request, rules)
    assert before[0] not in ids(page)
    codes = {reason.code for item in page.items for reason in item.reasons}
    assert codes & {"displaced", "wide_reach"}
    killed = replace(rules, killed=frozenset({"selector:reach"}))
    assert ids(engine.feed(request, killed)) == before


@given(
    st.lists(st.one_of(st.floats(-9, 9, width=32), st.just(math.nan)), min_size=1, max_size=20),
    st.floats(1.25, 5, width=32),
)
def test_a_factor_raises_whatever_the_sign_and_nan_stays_last(
    values: list[float], factor: float
) -> None:
    found = np.array(values, np.float32)
    plain = merits(found, np.ones(len(values), np.float32))
    raised = merits(found, np.full(len(values), factor, np.float32))
    known = ~np.isnan(found)
    assert (raised[known] >= plain[known]).all()
    buried = np.ones(len(values), np.float32)
    buried[0] = 0
    low = merits(found, buried)
    others = known.copy()
    others[0] = False
    if known[0] and others.any():
        assert low[0] < low[others].min()
    if known.any() and not known.all():
        assert low[~known].max() < low[known].min()


def test_boosts_lift_items_creators_and_whole_categories() -> None:
    request = FeedRequest(4, NOW_MS, liked(10), explain=True)
    for boost, first in [
        (Boost("item", "item-14", 9.0), "item-14"),
        (Boost("creator", "c-13", 9.0), "item-13"),
        (Boost("category", "tea", 9.0), "item-9"),
    ]:
        page = ENGINE.feed(request, replace(RULES, boosts=(boost,)))
        assert page.items[0].item_id == first
    moved = {why.code: why.value for why in page.items[1].reasons}
    assert "near_history" in moved


def test_what_is_buried_comes_last_and_says_so() -> None:
    rules = replace(RULES, boosts=(Boost("item", "item-9", 0.0),))
    page = ENGINE.feed(FeedRequest(23, NOW_MS, liked(10), explain=True), rules)
    assert page.items[-1].item_id == "item-9"
    assert [why.code for why in page.items[-1].reasons][-1] == "buried"
    assert page.items[-1].reasons[-1].value < 0  # type: ignore[operator]


def test_a_pin_stands_at_its_place_for_everyone_who_may_see_it() -> None:
    rules = replace(RULES, pins=(Pin("item-22", 2), Pin("nowhere", 1), Pin("item-3", 99)))
    page = ENGINE.feed(FeedRequest(4, NOW_MS, liked(10), explain=True), rules)
    assert (page.items[1].item_id, page.items[1].source) == ("item-22", "pinned")
    assert "pinned" in [why.code for why in page.items[1].reasons]
    seen = ENGINE.feed(FeedRequest(4, NOW_MS, liked(10), seen=("item-22",)), rules)
    assert "item-22" not in ids(seen)


def test_a_pin_further_down_waits_for_its_page() -> None:
    rules = replace(RULES, pins=(Pin("item-22", 6),))
    first = ENGINE.feed(FeedRequest(4, NOW_MS, liked(10)), rules)
    assert "item-22" not in ids(first)
    asked = FeedRequest(4, NOW_MS, liked(10), paged=tuple(ids(first)))
    second = ENGINE.feed(asked, rules)
    assert (second.items[1].item_id, second.items[1].source) == ("item-22", "pinned")
    third = replace(asked, paged=(*asked.paged, *ids(second)))
    assert "item-22" not in ids(ENGINE.feed(third, rules))


def test_small_creators_have_their_share_over_the_pages_of_a_cursor() -> None:
    rules = replace(RULES, small_creators=SmallCreatorRules(share=0.2, tail=0.05))
    paged: list[str] = []
    for _ in range(5):
        request = FeedRequest(3, NOW_MS, liked(12), paged=tuple(paged))
        paged += ids(ENGINE.feed(request, rules))
    small = SHELF.small_creators(MODEL.vocabulary.rows(paged), 0.05)
    assert np.cumsum(small)[[4, 9, 14]].tolist() == [1, 2, 3]


def test_whoever_reacts_to_nothing_tires_of_it_too() -> None:
    rules = replace(RULES, fatigue=FatigueRules(window=9, loss=0.3, floor=0.1))
    request = FeedRequest(4, NOW_MS, seen=("item-1", "item-3"), explain=True)
    page = ENGINE.feed(request, rules)
    assert [item.item_id for item in page.items[:2]] == ["item-22", "item-20"]
    assert ids(ENGINE.feed(request, RULES))[0] == "item-23"


def test_every_rule_that_moved_an_item_is_told_with_its_places() -> None:
    rules = replace(
        RULES,
        boosts=(Boost("item", "item-14", 9.0),),
        diversity=DiversityRules(strength=1.5, depth=24),
    )
    page = ENGINE.feed(FeedRequest(23, NOW_MS, liked(10), explain=True), rules)
    plain = ENGINE.feed(FeedRequest(23, NOW_MS, liked(10)), RULES)
    told = ("boosted", "diversity", "displaced")
    for item in page.items:
        moved = {why.code: why.value for why in item.reasons if why.code in told}
        by_value = ids(plain).index(item.item_id) + 1
        assert sum(moved.values()) == by_value - item.position  # type: ignore[arg-type]
    codes = {why.code for item in page.items for why in item.reasons}
    assert {"boosted", "diversity"} <= codes


def test_operators_can_switch_off_sources_and_selectors() -> None:
    request = FeedRequest(6, NOW_MS, liked(10))
    assert {i.source for i in ENGINE.feed(request, RULES).items} == {"interest"}
    off = replace(RULES, killed=frozenset({"source:interest"}))
    assert {i.source for i in ENGINE.feed(request, off).items} == {"popular"}
    everything = FeedRequest(24, NOW_MS, liked(10))  # more than the sources give
    assert {i.source for i in ENGINE.feed(everything, off).items} == {"popular"}


def test_small_creators_are_those_of_the_tail_of_popularity_and_unknown_ones() -> None:
    shelf = make_shelf(
        item_table([{"creator_id": c} for c in ("big", "big", "mid", "low", None)]),
        np.array([50, 20, 20, 10, 9], np.float32),
    )
    assert shelf.small_creators(np.arange(5), 0.2).tolist() == [False, False, False, True, False]
    shelf.facts.put(5, {"creator_id": "new"})
    assert shelf.small_creators(np.array([5]), 0.2).tolist() == [True]
    rules = replace(RULES, small_creators=SmallCreatorRules(0.5, 0.3))
    page = ENGINE.feed(FeedRequest(8, NOW_MS, liked(10)), rules)
    small = SHELF.small_creators(MODEL.vocabulary.rows(ids(page)), 0.3)
    assert small.sum() >= 4
