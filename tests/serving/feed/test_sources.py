"""Sources with their quotas, and stages that take too long."""

import time
from dataclasses import replace

import numpy as np
import pytest

from models.arrays import Rows, Vectors
from models.features import batch_histories
from models.ranking_features import RankingContext
from serving.feed.candidates import SOURCES
from serving.feed.contracts import Behaviour, FeedRequest
from serving.feed.engine import FeedEngine
from serving.feed.hydrate import hydrate
from serving.feed.question import Question
from serving.feed.rules import FeedRules, StageBudgets
from serving.feed.shelf import make_shelf
from serving.feed.signals import SignalBoard
from serving.feed.sources import Sourcing, gathered
from serving.feed.stopwatch import REST_S, Lateness
from serving.feed.terms import Standing
from tests.item_table import item_table
from tests.serving.feed.fixed_model import HISTORY_LENGTH, NOW_MS, ring_model
from tests.serving.feed.test_engine import ids, liked
from tests.serving.feed.test_value import FixedRanker

MODEL = ring_model(24)
SHELF = make_shelf(
    item_table([{"creator_id": f"c-{n % 6}", "published_at_ms": n} for n in range(24)]),
    MODEL.popularity,
)
RULES = FeedRules(
    interest_candidates=2,
    popular_candidates=1,
    creator_window=1,
    creator_limit=1,
    trending_candidates=2,
    followed_candidates=2,
    similar_candidates=2,
)


def sources_of(
    request: FeedRequest, board: SignalBoard | None = None, rules: FeedRules = RULES
) -> dict[str, set[int]]:
    """Rows that each source gave."""
    viewer = hydrate(request, MODEL.vocabulary, SHELF)
    batch = batch_histories([viewer.history], HISTORY_LENGTH)
    known = MODEL.interests(batch)[0] if len(viewer.history) else None
    question = Question(request, rules, viewer, known, known)
    candidates, late = gathered(question, Sourcing(MODEL, SHELF, board), lambda: True)
    assert not late
    found: dict[str, set[int]] = {}
    for row, source in zip(candidates.rows.tolist(), candidates.sources.tolist(), strict=True):
        found.setdefault(SOURCES[source], set()).add(row)
    return found


def board_of(**trending: list[int]) -> SignalBoard:
    board = SignalBoard(SHELF.facts)
    counters = board.counters
    rows = {region.strip("_"): np.array(hot) for region, hot in trending.items()}
    board.show(counters.impressions, counters.reactions, rows)
    return board


def test_every_source_gives_its_quota_and_an_item_keeps_the_first() -> None:
    request = FeedRequest(1, NOW_MS, (Behaviour("item-3", "follow", NOW_MS), *liked(10)))
    rules = replace(RULES, similar_candidates=5)
    found = sources_of(request, board_of(_=[0, 12, 21]), rules)
    assert found["followed"] == {21, 15}  # the newest of the creator of item-3
    assert len(found["interest"]) == 3  # a page, and both items that the user has seen
    assert len(found["similar"]) == 2  # of five, three are nearest anyway
    assert found["trending"] == {0, 12}
    assert found["popular"] == {23, 22} - found["interest"]
    off = frozenset(f"source:{name}" for name in ("followed", "interest", "similar", "trending"))
    assert sources_of(request, board_of(_=[0]), replace(rules, killed=off)).keys() == {"popular"}


def test_an_unfollow_takes_the_follow_back() -> None:
    follow = Behaviour("item-3", "follow", NOW_MS - 10)
    unfollow = Behaviour("item-9", "unfollow", NOW_MS)
    assert "followed" in sources_of(FeedRequest(1, NOW_MS, (follow,)))
    assert "followed" not in sources_of(FeedRequest(1, NOW_MS, (follow, unfollow)))


def test_trending_is_of_the_region_and_spares_what_is_limited() -> None:
    board = board_of(CN=[5, 6])
    assert board.hottest("CN", 1).tolist() == [5]
    assert board.hottest("US", 5).tolist() == []
    limited = np.zeros(24, bool)
    limited[5] = True
    request = FeedRequest(1, NOW_MS, standing=Standing("CN"), limited=limited)
    assert sources_of(request, board)["trending"] == {6}
    assert "trending" not in sources_of(replace(request, standing=Standing("US")), board)


def test_counters_grow_with_the_items_and_stay_a_photograph() -> None:
    shelf = make_shelf(item_table([{}] * 3), np.zeros(3, np.float32))
    board = SignalBoard(shelf.facts)
    before = board.counters
    assert board.counters is before
    shelf.facts.put(3, {"published_at_ms": 7})
    assert (len(board.counters), len(before)) == (4, 3)
    assert board.counters.published_at_ms.tolist() == [0, 0, 0, 7]


def test_related_is_what_someone_gets_who_only_liked_this() -> None:
    engine = FeedEngine(MODEL, SHELF, HISTORY_LENGTH)
    rules = replace(RULES, interest_candidates=6)
    page = engine.related(FeedRequest(3, NOW_MS, liked(1)), "item-10", rules)
    assert "item-10" not in ids(page)
    assert set(ids(page)) <= {f"item-{n}" for n in (7, 8, 9, 11, 12, 13)}
    assert {item.source for item in page.items} == {"similar"}
    with pytest.raises(KeyError):
        engine.related(FeedRequest(3, NOW_MS), "nowhere", rules)


def test_related_looks_further_where_the_nearest_may_not_be_shown() -> None:
    engine = FeedEngine(MODEL, SHELF, HISTORY_LENGTH)
    request = FeedRequest(4, NOW_MS, liked(9, 11), seen=("item-8", "item-12"))
    page = engine.related(request, "item-10", RULES)
    assert set(ids(page)) == {"item-6", "item-7", "item-13", "item-14"}
    assert {item.source for item in page.items} == {"similar"}


HIDDEN = np.zeros(24, bool)
HIDDEN[5:16] = HIDDEN[19:] = True  # what is nearest to item 10, and what is popular
FAR = FeedRequest(8, NOW_MS, liked(10), hidden=HIDDEN)


def test_a_page_that_needs_more_keeps_what_its_sources_gave() -> None:
    engine = FeedEngine(MODEL, SHELF, HISTORY_LENGTH, signals=board_of(CN=[0, 1]))
    page = engine.feed(replace(FAR, standing=Standing("CN")), RULES)
    assert len(page.items) == 8
    assert {i.item_id for i in page.items if i.source == "trending"} == {"item-0", "item-1"}


def test_a_trend_is_told_of_the_region_that_it_was_seen_in() -> None:
    engine = FeedEngine(MODEL, SHELF, HISTORY_LENGTH, signals=board_of(CN=[0], _=[1]))
    for region, told in (("CN", "CN"), ("US", "*"), (None, "*")):
        request = replace(FAR, standing=Standing(region), explain=True)
        reasons = [why for item in engine.feed(request, RULES).items for why in item.reasons]
        assert [why.value for why in reasons if why.code == "trending"] == [told]


class SlowRanker(FixedRanker):
    """Takes 20 ms."""

    def predict(self, context: RankingContext, rows: Rows) -> Vectors:
        time.sleep(0.02)
        return super().predict(context, rows)


def test_a_ranker_over_its_budget_rests_and_the_interest_answers() -> None:
    ranker = SlowRanker()
    engine = FeedEngine(
        MODEL, SHELF, HISTORY_LENGTH, ranker=ranker, signals=SignalBoard(SHELF.facts)
    )
    rules = replace(RULES, budgets=StageBudgets(ranker_ms=5))
    request = FeedRequest(3, NOW_MS, liked(10))
    pages = [engine.feed(request, rules) for _ in range(3)]
    assert [page.degraded for page in pages] == [("ranker_late",)] * 3
    assert len(ranker.contexts) == 1
    plain = FeedEngine(MODEL, SHELF, HISTORY_LENGTH).feed(request, rules)
    assert ids(pages[0]) == ids(plain)
    off = replace(rules, killed=frozenset({"ranker"}))
    assert engine.feed(request, off).degraded == ("ranker_off",)


def test_a_late_stage_rests_for_its_time_only() -> None:
    lateness = Lateness()
    assert lateness.over("ranker", 6.0, 5.0)
    assert lateness.rests("ranker")
    assert not lateness.rests("selectors")
    assert not lateness.over("selectors", 5.0, 5.0)
    lateness._until_s["ranker"] -= REST_S
    assert not lateness.rests("ranker")


def test_sources_over_their_budget_are_left_out_by_name() -> None:
    engine = FeedEngine(MODEL, SHELF, HISTORY_LENGTH)
    rules = replace(RULES, budgets=StageBudgets(sources_ms=-1))
    page = engine.feed(FeedRequest(3, NOW_MS, liked(10)), rules)
    assert page.degraded == ("sources_late",)
    assert {item.source for item in page.items} == {"popular"}


def test_selectors_over_their_budget_leave_diversity_out() -> None:
    engine = FeedEngine(MODEL, SHELF, HISTORY_LENGTH)
    rules = replace(RULES, budgets=StageBudgets(selectors_ms=-1))
    page = engine.feed(FeedRequest(3, NOW_MS, liked(10)), rules)
    assert (page.degraded, len(page.items)) == (("selectors_late",), 3)
    assert engine.lateness.rests("selectors")
