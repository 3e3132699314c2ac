"""Diversity, density, shares and fixed places; creator spread stands in ``test_stages``."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arrays import Vectors
from serving.feed.rules import DiversityRules, WindowRule
from serving.feed.selectors import FREE, Choice, Fixed, Grouping, selected

RNG = np.random.default_rng(0)


def choice(merits: list[float], unit: Vectors | None = None, strength: float = 0.0) -> Choice:
    vectors = np.zeros((len(merits), 2), np.float32) if unit is None else unit
    return Choice(
        merits=np.array(merits),
        unit=vectors,
        diversity=DiversityRules(strength),
        groupings=(),
        small=np.zeros(len(merits), bool),
    )


def exact_mmr(merits: Vectors, unit: Vectors, strength: float, k: int) -> list[int]:
    """Maximal marginal relevance, item by item: the reference."""
    weight = strength * (merits[0] - merits[-1])
    order: list[int] = []
    while len(order) < k:
        losses = [max([0.0, *(float(unit[n] @ unit[m]) for m in order)]) for n in range(len(unit))]
        left = [n for n in range(len(unit)) if n not in order]
        order.append(max(left, key=lambda n: merits[n] - weight * losses[n]))
    return order


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_diversity_is_maximal_marginal_relevance(strength: float) -> None:
    merits = np.sort(RNG.normal(size=60)).astype(np.float32)[::-1]
    vectors = RNG.normal(size=(60, 8)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = selected(choice(merits.tolist(), unit, strength), 20).order.tolist()
    assert found == exact_mmr(merits, unit, strength, 20)


def test_what_repeats_the_page_waits_and_says_why() -> None:
    unit = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    selection = selected(choice([1.0, 0.9, 0.8], unit, 1.5), 3)
    assert selection.order.tolist() == [0, 2, 1]
    assert selection.causes == {1: "diversity", 2: "diversity"}


def test_commerce_density_counts_one_group_and_leaves_the_rest_alone() -> None:
    groups = np.array([0, 0, 0, 0, FREE, FREE, FREE])
    density = Grouping("commerce_density", groups, WindowRule(4, 1))
    selection = selected(replace(choice([7, 6, 5, 4, 3, 2, 1]), groupings=[density]), 7)
    assert selection.order.tolist() == [0, 4, 5, 6, 1, 2, 3]
    assert {selection.causes[n] for n in (1, 4)} == {"commerce_density"}


def test_small_creators_get_their_share_evenly() -> None:
    small = np.array([False] * 10 + [True] * 3)
    shared = replace(choice(list(range(13, 0, -1))), small=small, small_share=0.25)
    selection = selected(shared, 8)
    assert selection.order.tolist() == [0, 1, 2, 10, 3, 4, 5, 11]
    assert selection.causes[10] == "small_creator"
    nobody = replace(shared, small=np.zeros(13, bool))
    assert selected(nobody, 8).order.tolist() == list(range(8))


def test_pins_stand_at_their_very_places_and_new_items_wait_for_the_rules() -> None:
    groups = np.array([5, FREE, FREE, FREE, 5])
    spread = Grouping("creator_spread", groups, WindowRule(3, 1))
    fixed = (Fixed(4, 1, "exploration_slot", waits=True), Fixed(3, 0, "pinned", waits=False))
    page = replace(choice([5, 4, 3, 2, 1]), groupings=[spread], fixed=sorted(fixed, key=place_of))
    assert selected(page, 5).order.tolist() == [3, 4, 1, 2, 0]
    later = replace(page, fixed=(Fixed(4, 1, "exploration_slot", waits=True),))
    assert selected(later, 5).order.tolist() == [0, 1, 2, 4, 3]


def place_of(fixed: Fixed) -> int:
    return fixed.place


def test_a_fixed_item_fills_the_page_where_nothing_else_is_left() -> None:
    page = replace(choice([2, 1]), fixed=(Fixed(1, 90, "exploration_slot", waits=True),))
    assert selected(page, 5).order.tolist() == [0, 1]


@given(
    st.lists(st.floats(-5, 5), max_size=30),
    st.integers(1, 40),
    st.floats(0, 3),
    st.integers(0, 3),
    st.floats(0, 1),
)
def test_a_page_is_never_shortened_and_repeats_nothing(
    merits: list[float], k: int, strength: float, fixed: int, share: float
) -> None:
    count = len(merits)
    vectors = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)
    page = replace(
        choice(sorted(merits, reverse=True), vectors, strength),
        groupings=[Grouping("creator_spread", np.arange(count) % 3, WindowRule(4, 1))],
        small=np.arange(count) % 4 == 0,
        small_share=share,
        fixed=[Fixed(n, 3 * n, "exploration_slot", waits=True) for n in range(min(fixed, count))],
    )
    order = selected(page, k).order.tolist()
    assert len(order) == len(set(order)) == min(k, count)
