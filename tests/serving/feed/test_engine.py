import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.contracts import Behaviour, FeedRequest, Page, Reason, Removed
from serving.feed.engine import FeedEngine
from tests.serving.feed.fixed_model import NOW_MS, RULES, FixedModel, engine_over, ring_model

MODEL = ring_model(24)
ENGINE = engine_over(MODEL)


def liked(*items: int) -> tuple[Behaviour, ...]:
    """Likes, the newest first."""
    return tuple(Behaviour(f"item-{item}", "like", NOW_MS - n) for n, item in enumerate(items))


def ids(page: Page) -> list[str]:
    return [item.item_id for item in page.items]


def test_a_feed_holds_what_is_near_the_newest_interest() -> None:
    page = ENGINE.feed(FeedRequest(4, NOW_MS, liked(10, 3)), RULES)
    assert sorted(ids(page)) == ["item-11", "item-12", "item-8", "item-9"]
    assert [item.source for item in page.items] == ["interest"] * 4
    assert [item.position for item in page.items] == [1, 2, 3, 4]
    assert [item.creator_id for item in page.items] == [f"creator-{i[5:]}" for i in ids(page)]
    assert (page.degraded, page.bundle, page.nan_scores) == ((), "fixed", 0)
    scores = [item.score for item in page.items]
    assert scores == sorted(scores, reverse=True)


def test_an_unknown_user_gets_what_is_popular_and_is_told() -> None:
    page = ENGINE.feed(FeedRequest(3, NOW_MS), RULES)
    assert ids(page) == ["item-23", "item-22", "item-21"]
    assert {item.source for item in page.items} == {"popular"}
    assert page.degraded == ("unknown_user",)


def test_a_user_of_unknown_items_gets_what_is_popular_and_is_told() -> None:
    page = ENGINE.feed(FeedRequest(1, NOW_MS, (Behaviour("gone", "like", NOW_MS),)), RULES)
    assert (ids(page), page.degraded) == (["item-23"], ("unknown_items",))


def test_what_the_host_could_not_learn_is_passed_on() -> None:
    unreachable = FeedRequest(1, NOW_MS, degraded=("state_unreachable",))
    assert ENGINE.feed(unreachable, RULES).degraded == ("state_unreachable",)
    told = dataclasses.replace(unreachable, recent=liked(4))
    page = ENGINE.feed(told, RULES)
    assert (page.degraded, page.items[0].source) == (("state_unreachable",), "interest")


def test_more_history_than_the_model_reads_is_cut_to_the_newest() -> None:
    model = ring_model(24)
    engine_over(model).feed(FeedRequest(1, NOW_MS, liked(*range(20))), RULES)
    assert model.asked[0].rows.tolist() == [list(range(8))]


def test_interests_that_are_not_numbers_fall_back_to_popular() -> None:
    broken = dataclasses.replace(MODEL, interest=np.array([[np.nan, 0]], np.float32))
    page = engine_over(broken).feed(FeedRequest(2, NOW_MS, liked(1)), RULES)
    assert (ids(page), page.degraded) == (["item-23", "item-22"], ("interests_not_finite",))


def test_an_item_without_a_score_ranks_last_and_is_counted() -> None:
    vectors = MODEL.retrieval_vectors.copy()
    vectors[9] = np.nan
    model = FixedModel(vectors, MODEL.popularity, interest=MODEL.retrieval_vectors[10:11])
    page = engine_over(model).rank(
        FeedRequest(9, NOW_MS, liked(10)), ["item-9", "item-20", "item-11"], RULES
    )
    assert ids(page) == ["item-11", "item-20", "item-9"]
    assert (np.isnan(page.items[2].score), page.nan_scores) == (True, 1)


@given(
    st.lists(st.integers(0, 30), max_size=10),
    st.lists(st.integers(0, 30), max_size=10),
    st.lists(st.integers(0, 30), max_size=10),
    st.integers(1, 40),
)
def test_no_page_repeats_or_shows_what_was_seen_or_excluded(
    acted: list[int], seen: list[int], excluded: list[int], k: int
) -> None:
    request = FeedRequest(
        k,
        NOW_MS,
        liked(*acted),
        tuple(f"item-{n}" for n in seen),
        tuple(f"item-{n}" for n in excluded),
    )
    page = ENGINE.feed(request, RULES)
    hidden = {f"item-{n}" for n in (*acted, *seen, *excluded)}
    found = ids(page)
    assert (
        len(found) == len(set(found)) == min(k, 24 - len(hidden & {f"item-{n}" for n in range(24)}))
    )
    assert not hidden & set(found)
    assert dataclasses.replace(ENGINE.feed(request, RULES), stage_ms={}) == dataclasses.replace(
        page, stage_ms={}
    )


def test_creators_are_spread_over_a_page() -> None:
    engine = engine_over(MODEL, creators=["one" if 8 <= n <= 13 else f"c{n}" for n in range(24)])
    page = engine.feed(FeedRequest(6, NOW_MS, liked(10)), RULES)
    assert [item.creator_id for item in page.items[:4]].count("one") == 2


def test_ranking_lists_what_it_removed_and_why() -> None:
    request = FeedRequest(10, NOW_MS, liked(10), seen=("item-3",), excluded=("item-4",))
    asked = ["item-9", "nowhere", "item-3", "item-9", "item-4", "item-15"]
    page = ENGINE.rank(request, asked, RULES)
    assert ids(page) == ["item-9", "item-15"]
    assert {item.source for item in page.items} == {"request"}
    assert sorted(page.removed, key=lambda one: one.reason) == [
        Removed("item-4", "excluded"),
        Removed("item-9", "repeated"),
        Removed("item-3", "seen"),
        Removed("nowhere", "unknown"),
    ]


def test_ranking_scores_like_the_feed() -> None:
    request = FeedRequest(5, NOW_MS, liked(10, 2))
    page = ENGINE.feed(request, RULES)
    again = ENGINE.rank(request, ids(page)[::-1], RULES)
    assert {i.item_id: i.score for i in again.items} == {i.item_id: i.score for i in page.items}


def test_ranking_for_an_unknown_user_is_by_popularity() -> None:
    page = ENGINE.rank(FeedRequest(2, NOW_MS), ["item-1", "item-20", "item-7"], RULES)
    assert (ids(page), page.degraded) == (["item-20", "item-7"], ("unknown_user",))


def test_reasons_name_history_popularity_and_spreading() -> None:
    engine = engine_over(MODEL, creators=["one" if 8 <= n <= 13 else f"c{n}" for n in range(24)])
    page = engine.feed(FeedRequest(24, NOW_MS, liked(10, 2), explain=True), RULES)
    by_id = {item.item_id: item.reasons for item in page.items}
    assert by_id["item-9"] == (Reason("near_history", "item-10"),)
    assert Reason("near_history", "item-2") in by_id["item-3"]
    moved = [why.value for why in by_id["item-7"] if why.code == "creator_spread"]
    assert moved == [2]
    popular = engine.feed(FeedRequest(2, NOW_MS, explain=True), RULES)
    assert popular.items[1].reasons == (Reason("popular", 2),)


def test_reasons_cost_nothing_unless_asked_for() -> None:
    assert all(not item.reasons for item in ENGINE.feed(FeedRequest(3, NOW_MS), RULES).items)


def test_every_stage_is_timed() -> None:
    page = ENGINE.feed(FeedRequest(3, NOW_MS, liked(1)), RULES)
    stages = ["hydrate", "interests", "sources", "filters", "exploration", "scorers", "selectors"]
    assert list(page.stage_ms) == stages
    assert all(ms >= 0 for ms in page.stage_ms.values())


def test_an_empty_shelf_gives_an_empty_page() -> None:
    empty = FixedModel(np.zeros((0, 2), np.float32), np.zeros(0, np.float32))
    engine: FeedEngine = engine_over(empty)
    assert engine.feed(FeedRequest(3, NOW_MS), RULES).items == ()
