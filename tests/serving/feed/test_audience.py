from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from models.arrays import Mask, Rows, Vectors
from serving.feed.audience import (
    QUANTILES,
    AudienceRules,
    LadderExploration,
    Openings,
    lateness,
    matches,
    openings_of,
    sampled,
    viewer_quantiles,
)
from serving.feed.contracts import FeedRequest
from serving.feed.exposure import Floats
from tests.serving.feed.test_exposure import NOW, RULES, rungs

CHANCE = AudienceRules(pool=3, temperature=0.5, urgency=2.0)
ASKED = FeedRequest(k=10, now_ms=NOW)


def f32(values: object) -> Vectors:
    return np.array(values, np.float32)


EAST, NORTH = f32([[1, 0]]), f32([[0, 1]])


def openings(vectors: Floats, tiers: list[int] | None = None) -> Openings:
    count = len(vectors)
    axes = np.eye(vectors.shape[1], dtype=np.float32)[:, None]
    viewers = np.concatenate([axes, axes.mean(axis=0, keepdims=True)])
    return Openings(
        rows=np.arange(count) + 100,
        vectors=vectors.astype(np.float32),
        tiers=np.array(tiers or [0] * count),
        budgets=np.full(count, 50),
        late=np.zeros(count, np.float32),
        quantiles=viewer_quantiles(viewers, vectors.astype(np.float32)),
    )


def everything(rows: Rows) -> Mask:
    return np.ones(len(rows), bool)


def test_the_match_looks_from_both_sides() -> None:
    # This viewer is as near to both; of the first item all others are nearer, of the second none.
    match = matches(NORTH, openings(np.array([[3.0, 2.0], [0.0, 2.0]])), CHANCE)
    place = 1.0  # of two openings the last stands highest
    assert match[0] == pytest.approx(0.0)
    assert match[1] - place > 0.9


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (33, 2), (512, 2), (100, 1)])
def test_quantiles_are_those_of_the_nearest_interest(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    viewers, vectors = f32(random.normal(size=(*shape, 8))), f32(random.normal(size=(40, 8)))
    scores = np.einsum("smd,ed->esm", viewers, vectors).max(axis=2)
    expected = np.quantile(scores, np.linspace(0, 1, QUANTILES), axis=1).T
    np.testing.assert_allclose(viewer_quantiles(viewers, vectors), expected, atol=1e-5)
    assert not viewer_quantiles(viewers[:0], vectors).any()


def test_the_late_come_first_and_strangers_get_them_too() -> None:
    some = openings(np.eye(2))
    late = replace(some, late=f32([0.0, 1.0]))
    assert matches(EAST, some, CHANCE).argmax() == 0
    assert matches(EAST, late, CHANCE).argmax() == 1
    assert matches(None, late, CHANCE).tolist() == [0.0, 2.0]


def test_lateness_is_what_an_even_pace_would_have_spent() -> None:
    used, budgets = np.array([0, 50, 100, 0]), np.full(4, 100)
    ages, plan = np.array([30, 50, 50, 500]), np.full(4, 100)
    assert lateness(used, budgets, ages, plan).tolist() == pytest.approx([0.3, 0.0, 0.0, 1.0])


def test_the_recorded_propensity_is_the_frequency() -> None:
    rng, match = np.random.default_rng(0), f32([0.0, 0.3, 0.6, 5.0])
    allowed = np.array([True, True, True, False])
    first: Counter[int] = Counter()
    second: Counter[tuple[int, int]] = Counter()
    told: dict[tuple[int, ...], float] = {}
    for _ in range(20_000):
        rows, chance = sampled(match, allowed, 2, CHANCE, rng)
        a, b = rows.tolist()
        first[a] += 1
        second[a, b] += 1
        told[(a,)], told[a, b] = float(chance[0]), float(chance[1])
    for a, count in first.items():
        assert count / 20_000 == pytest.approx(told[(a,)], abs=0.012)
    for (a, b), count in second.items():
        assert count / first[a] == pytest.approx(told[a, b], abs=0.03)
    assert 3 not in first


def test_what_is_left_alone_is_certain() -> None:
    rng = np.random.default_rng(0)
    rows, chance = sampled(f32([1.0, 2.0]), np.array([True, False]), 5, CHANCE, rng)
    assert (rows.tolist(), chance.tolist()) == ([0], [1.0])
    rows, _ = sampled(f32([1.0]), np.array([False]), 1, CHANCE, rng)
    assert len(rows) == 0


def test_only_the_pool_takes_part_and_no_chance_is_zero() -> None:
    rng, match = np.random.default_rng(0), f32([9.0, 8.0, 7.0, 1.0])
    cold = replace(CHANCE, temperature=0.001)
    found = [sampled(match, np.ones(4, bool), 4, cold, rng) for _ in range(20)]
    assert all(rows[0] == 0 and sorted(rows.tolist()) == [0, 1, 2] for rows, _ in found)
    assert all((chance > 0).all() for _, chance in found)


def test_first_audiences_come_before_what_has_climbed() -> None:
    ladder = LadderExploration(np.random.default_rng(0))
    ladder.show(openings(np.eye(4), tiers=[1, 1, 0, 1]), CHANCE)
    rows, chance = ladder.draw(ASKED, f32([[1, 0, 0, 0]]), everything, 3)
    assert rows[0] == 102
    assert len(rows) == 2
    assert chance[0] == 1.0
    assert ladder.tier(102) == 50
    assert ladder.tier(7) is None
    assert ladder.viewers.shape == (1, 1, 4)


def test_a_category_of_the_history_counts_as_the_rules_say() -> None:
    ladder = LadderExploration(np.random.default_rng(0))

    def taste(rows: Rows) -> Vectors:
        return np.where(rows == 103, 0.3, 0.0).astype(np.float32)

    def first(category: float) -> int:
        rules = replace(CHANCE, temperature=0.001, category=category)
        ladder.show(openings(np.eye(4)), rules)
        return int(ladder.draw(ASKED, f32([[1, 0, 0, 0]]), everything, 1, taste)[0][0])

    assert (first(0.0), first(5.0)) == (100, 103)


def test_filters_hold_and_an_empty_ladder_gives_nothing() -> None:
    ladder = LadderExploration(np.random.default_rng(0))
    assert len(ladder.draw(ASKED, EAST, everything, 3)[0]) == 0
    ladder.show(openings(np.eye(2)), CHANCE)
    rows, _ = ladder.draw(ASKED, None, lambda rows: rows == 101, 3)
    assert rows.tolist() == [101]


def test_only_what_has_budget_left_is_open() -> None:
    told = rungs([10, 10, 10, 10])
    told = replace(
        told,
        confirmed=np.array([80, 86, 90, 50]),
        held=np.full(4, 4),
        closed=np.array([False, False, False, True]),
    )
    viewers = np.empty((0, 0, 0), np.float32)
    vectors = np.eye(4, dtype=np.float32)
    found = openings_of(told, np.array([5, 6, 7, 8]), vectors, viewers, RULES, NOW)
    assert found.rows.tolist() == [5]
    unknown = openings_of(told, np.array([-1, 6, 7, 8]), vectors, viewers, RULES, NOW)
    assert len(unknown) == 0
    assert found.quantiles.shape == (1, QUANTILES)
