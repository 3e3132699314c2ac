from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.exposure import (
    REACTIONS,
    LadderRules,
    Move,
    Rungs,
    Step,
    creator_standing,
    decided,
    first_budget,
    like_content,
)

HOUR_MS = 3_600_000
NOW = 1_800_000_000_000
RULES = LadderRules(
    first={"S": 100, "A": 80, "B": 60, "C": 20, "": 50},
    history_span=0.5,
    tiers=(200, 800),
    bars=(1.1, 1.5),
    weights=(0.35, 0.25, 0.20, 0.10, 0.10),
    confidence=1.0,
    like_content=10.0,
    least_impressions=40,
    guarantee_ms=HOUR_MS,
    lifetime_ms=24 * HOUR_MS,
)


def rungs(completions: list[int], viewers: int = 100, tier: int = 0) -> Rungs:
    """Items of one kind, each seen by so many, completed by as many as told."""
    count = len(completions)
    reactions = np.zeros((count, len(REACTIONS)))
    reactions[:, 0] = completions
    return Rungs(
        item_ids=tuple(f"i{n}" for n in range(count)),
        tier=np.full(count, tier),
        budget=np.full(count, 90),
        confirmed=np.full(count, 90),
        held=np.full(count, 0),
        opened_ms=np.full(count, NOW - HOUR_MS),
        closed=np.zeros(count, bool),
        viewers=np.full(count, float(viewers)),
        reactions=reactions,
        kind=np.zeros(count, np.int64),
        category=np.zeros(count, np.int64),
    )


def test_the_better_of_like_content_climbs_and_nothing_else() -> None:
    found = decided(rungs([60, 30, 30, 30, 10]), RULES, NOW)
    assert found == [Move("i0", Step.PROMOTED, 0, 1, 200)]


def test_few_impressions_decide_nothing() -> None:
    assert decided(rungs([39, 20, 20, 1], viewers=39), RULES, NOW) == []


def test_nothing_is_decided_before_the_first_audience_is_complete() -> None:
    waiting = replace(rungs([60, 30, 30, 30, 10]), confirmed=np.array([89, 90, 90, 90, 90]))
    assert decided(waiting, RULES, NOW) == []


def test_an_item_is_measured_against_its_own_kind_and_category() -> None:
    told = rungs([60] * 10 + [30] * 9 + [60])
    other = np.array([0] * 10 + [1] * 10)
    assert len(decided(told, RULES, NOW)) == 11
    apart = decided(replace(told, kind=other), RULES, NOW)
    assert [move.item_id for move in apart] == ["i19"]
    apart = decided(replace(told, category=other), RULES, NOW)
    assert [move.item_id for move in apart] == ["i19"]


def test_what_has_climbed_stays_in_the_comparison() -> None:
    told = rungs([60, 60, 30, 30])
    climbed = replace(told, tier=np.array([1, 1, 0, 0]))
    assert like_content(climbed, RULES)[2, 0] == pytest.approx(0.45)
    assert like_content(climbed, RULES)[0, 0] == pytest.approx(0.6)


def test_what_falls_behind_its_tier_is_closed_with_what_was_served() -> None:
    told = rungs([60, 60, 60, 5], tier=1)
    assert decided(told, RULES, NOW) == [Move("i3", Step.DEMOTED, 1, 1, 90)]
    closed = replace(told, closed=np.array([False, False, False, True]))
    assert decided(closed, RULES, NOW) == []


def test_a_first_audience_is_never_taken_away() -> None:
    assert "i3" not in [move.item_id for move in decided(rungs([60, 60, 60, 0]), RULES, NOW)]


def test_time_ends_every_item() -> None:
    late = rungs([30, 30])
    found = decided(late, RULES, NOW + 23 * HOUR_MS)
    assert {move.step for move in found} == {Step.EXPIRED}
    assert {move.budget for move in found} == {90}


def test_the_last_tier_is_the_last() -> None:
    found = decided(rungs([99, 30, 30, 30], tier=2), RULES, NOW)
    assert not [move for move in found if move.step is Step.PROMOTED]


def test_grades_and_history_set_the_first_audience() -> None:
    assert [first_budget(grade, 0.0, RULES) for grade in ("S", "A", None, "C")] == [100, 80, 50, 20]
    assert first_budget(None, 1.0, RULES) == 75
    assert first_budget("S", 1.0, RULES) == 100
    assert first_budget("C", -1.0, RULES) == 20
    assert creator_standing(0, 0) == 0.0
    assert creator_standing(8, 8) == pytest.approx(2 / 3)


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=30),
    st.integers(0, 2),
    st.floats(0.1, 3.0),
)
def test_every_move_goes_one_tier_up_or_stays(
    completions: list[int], tier: int, confidence: float
) -> None:
    told = rungs(completions, viewers=200, tier=tier)
    for move in decided(told, replace(RULES, confidence=confidence), NOW):
        assert move.to in (move.tier, move.tier + 1)
        assert (move.step is Step.PROMOTED) == (move.to > move.tier)
        assert move.budget == (RULES.tiers[tier] if move.to > move.tier else 90)
