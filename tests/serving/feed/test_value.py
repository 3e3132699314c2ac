"""The value formula and the places of new items."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from models.arrays import Mask, Rows, Vectors
from models.ranking_features import RankingContext
from models.tasks import PREDICTIONS
from serving.feed.contracts import FeedRequest
from serving.feed.rules import ExplorationRules, ValueWeights
from serving.feed.signals import SignalBoard
from serving.feed.value import contributions, values_of
from tests.serving.feed.fixed_model import NOW_MS, RULES, engine_over, ring_model
from tests.serving.feed.test_engine import ids, liked


def predictions(**named: list[float]) -> Vectors:
    count = len(next(iter(named.values())))
    found = np.full((count, len(PREDICTIONS)), np.nan, np.float32)
    for name, column in named.items():
        found[:, PREDICTIONS.index(name)] = column
    return found


def test_the_value_is_the_weighted_sum_and_negatives_subtract() -> None:
    weights = ValueWeights(negative=2.0)
    told = predictions(long_view=[0.5, 0.5], like=[0.1, 0.1], negative=[0.0, 0.2])
    values = values_of(contributions(told, weights, np.zeros(2, bool)))
    assert values == pytest.approx([0.2, -0.2])


def test_commerce_tasks_count_for_commerce_items_only() -> None:
    weights = ValueWeights(purchase=1.0, click_product=0.5)
    told = predictions(long_view=[0.0, 0.0], purchase=[0.3, 0.3], click_product=[0.2, 0.2])
    values = values_of(contributions(told, weights, np.array([True, False])))
    assert values == pytest.approx([0.4, 0.0])


def test_a_nan_of_one_item_is_not_a_task_that_nobody_knows() -> None:
    told = predictions(long_view=[0.5, np.nan])
    values = values_of(contributions(told, ValueWeights(), np.zeros(2, bool)))
    assert values[0] == pytest.approx(0.175)
    assert np.isnan(values[1])


def test_a_ranker_without_a_single_number_is_not_one_that_knows_no_task() -> None:
    plain = engine_over(ring_model())
    broken = replace(
        plain, ranker=FixedRanker(times=np.nan), signals=SignalBoard(plain.shelf.facts)
    )
    page = broken.rank(FeedRequest(2, NOW_MS, liked(10)), ["item-3", "item-9"], RULES)
    assert all(np.isnan(item.score) for item in page.items)
    assert page.nan_scores == 2
    endless = replace(broken, ranker=FixedRanker(times=np.inf))
    page = endless.rank(FeedRequest(2, NOW_MS, liked(10)), ["item-3", "item-9"], RULES)
    assert page.nan_scores == 2


@dataclass
class FixedRanker:
    """Predicts a long view of the items in their order; remembers what it was asked."""

    contexts: list[RankingContext] = field(default_factory=list)
    times: float = 0.01

    def predict(self, context: RankingContext, rows: Rows) -> Vectors:
        self.contexts.append(context)
        return predictions(long_view=(rows * self.times).tolist())


@dataclass(frozen=True)
class FixedLadder:
    """Offers given rows with given probabilities."""

    offer: tuple[tuple[int, float], ...]

    def draw(
        self,
        request: FeedRequest,
        interests: Vectors | None,
        keeps: Callable[[Rows], Mask],
        count: int,
        taste: Callable[[Rows], Vectors] | None = None,
    ) -> tuple[Rows, Vectors]:
        rows = np.array([row for row, _ in self.offer], np.int64)
        kept = keeps(rows)
        chances = np.array([chance for _, chance in self.offer], np.float32)
        return rows[kept][:count], chances[kept][:count]

    def tier(self, row: int) -> int | None:
        return 200 if row in dict(self.offer) else None


def test_a_ranker_decides_where_there_is_one() -> None:
    plain = engine_over(ring_model())
    ranker = FixedRanker()
    engine = replace(plain, ranker=ranker, signals=SignalBoard(plain.shelf.facts))
    request = FeedRequest(3, NOW_MS, liked(10), told_hour=21.5)
    page = engine.feed(request, RULES)
    assert ids(page) == sorted(ids(page), key=lambda one: -int(one[5:]))
    assert page.items[0].score == pytest.approx(0.35 * int(page.items[0].item_id[5:]) / 100)
    (context,) = ranker.contexts
    assert (context.local_hour, len(context.counters), page.degraded) == (21.5, 24, ())
    assert engine.feed(FeedRequest(3, NOW_MS), RULES).degraded == ("unknown_user",)


def test_new_items_stand_at_their_places_with_their_propensity() -> None:
    rules = replace(RULES, exploration=ExplorationRules(every=4))
    engine = replace(engine_over(ring_model()), exploration=FixedLadder(((20, 0.25), (3, 0.5))))
    page = engine.feed(FeedRequest(8, NOW_MS, liked(10)), rules)
    new = {n: item for n, item in enumerate(page.items) if item.source == "exploration"}
    assert {n: item.item_id for n, item in new.items()} == {2: "item-20", 6: "item-3"}
    assert [(item.propensity, item.reserve) for item in new.values()] == [(0.25, True), (0.5, True)]
    others = [item for item in page.items if item.source != "exploration"]
    assert {(item.propensity, item.reserve) for item in others} == {(1.0, False)}
    assert len(set(ids(page))) == 8


def test_places_of_new_items_are_counted_over_the_pages_of_a_cursor() -> None:
    rules = ExplorationRules(every=10)
    assert rules.places(20) == rules.places(20, before=20) == (5, 15)
    pages = [(start + place) for start in range(0, 40, 4) for place in rules.places(4, start)]
    assert pages == [5, 15, 25, 35]
    assert ExplorationRules(every=0).places(20) == ()
    engine = replace(engine_over(ring_model()), exploration=FixedLadder(((20, 0.25),)))
    paged = tuple(f"item-{n}" for n in range(4))
    request = FeedRequest(4, NOW_MS, liked(10), paged=paged)
    page = engine.feed(request, replace(RULES, exploration=rules))
    assert [item.source for item in page.items].index("exploration") == 1


def test_no_new_item_where_exposure_cannot_be_reserved_or_filters_refuse() -> None:
    rules = replace(RULES, exploration=ExplorationRules(every=4))
    engine = replace(engine_over(ring_model()), exploration=FixedLadder(((20, 0.25), (3, 0.5))))
    page = engine.feed(FeedRequest(8, NOW_MS, liked(10), explore=False), rules)
    assert "exploration" not in {item.source for item in page.items}
    page = engine.feed(FeedRequest(8, NOW_MS, liked(10), seen=("item-20",)), rules)
    assert [item.item_id for item in page.items if item.source == "exploration"] == ["item-3"]
