from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Rows
from tests.training.simulated import small_world
from training.datasets.simulator import (
    REACTIONS,
    VALUE_WEIGHTS,
    Memory,
    Responses,
    World,
    begin_sessions,
    fresh_memory,
    respond,
    values,
)
from training.datasets.world.items import PRODUCT, VIDEO
from training.datasets.world.pull import affinities, pull

USERS = np.arange(300)


def met(world: World, items: Rows, seed: int = 0, memory: Memory | None = None) -> Responses:
    """All users meet the same page width; `items` is [300, K]."""
    times = np.full(300, world.start_ms)
    state = fresh_memory(world) if memory is None else memory
    return respond(world, USERS, items, times, np.random.default_rng(seed), state)


def random_pages(width: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return np.argsort(rng.random((300, 400)), axis=1)[:, :width]


def logit(
    world: World, items: Rows, memory: Memory
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return pull(world, USERS, items, np.full(300, world.start_ms), memory).logit


@given(seed=st.integers(0, 2**32), width=st.integers(1, 14), holes=st.floats(0, 0.3))
@settings(max_examples=25, deadline=None)
def test_no_impossible_combination(seed: int, width: int, holes: float) -> None:
    world = small_world()
    pages = random_pages(width, seed)
    pages[np.random.default_rng(seed).random(pages.shape) < holes] = -1
    memory = fresh_memory(world)
    for turn in range(2):
        followed = memory.followed.copy()
        told = met(world, pages, seed + turn, memory)
        r = told.reactions
        assert tuple(r) == REACTIONS
        assert not told.examined[pages < 0].any()
        shown_before = np.cumsum(pages >= 0, axis=1)
        last = np.where(told.examined, shown_before, 0).max(axis=1)
        assert (told.examined.sum(axis=1) == last).all(), "examined positions are a prefix"
        assert (told.examined == (pages >= 0))[~told.left].all()
        for happened in r.values():
            assert not happened[~told.examined].any()
        assert ((told.watch_ms > 0) == told.examined).all()
        assert np.isfinite(told.watch_ms).all()
        assert not (r["purchase"] & ~r["click_product"]).any()
        assert not (r["click_product"] & ((told.product_rows < 0) | r["skip"])).any()
        assert not (r["complete"] & ~r["long_view"]).any()
        assert not (r["long_view"] & ~r["play"]).any()
        assert not (r["skip"] & r["long_view"]).any()
        assert not (r["not_interested"] & (r["like"] | r["click_product"])).any()
        products = world.item_traits.kind[pages] == PRODUCT
        for name in ("like", "comment", "share", "follow"):
            assert not (r[name] & products).any()
        for b, k in np.argwhere(r["follow"]):
            assert world.item_traits.creator[pages[b, k]] not in followed[b]


def test_same_draws_give_the_same_bytes() -> None:
    first, again = (met(small_world(), random_pages(8), seed=3) for _ in range(2))
    assert first.watch_ms.tobytes() == again.watch_ms.tobytes()
    assert (
        met(small_world(), random_pages(8), seed=4).watch_ms.tobytes() != first.watch_ms.tobytes()
    )


def test_better_items_are_watched_longer_by_everybody() -> None:
    world = small_world()
    traits = world.item_traits
    better = replace(world, item_traits=replace(traits, quality=traits.quality + 1.0))
    one = random_pages(1)
    before, after = met(world, one).watch_ms, met(better, one).watch_ms
    assert (after >= before).all()
    assert (after > before * 1.05).mean() > 0.1


def test_a_closer_interest_is_watched_longer() -> None:
    world = small_world()
    one = random_pages(1)
    interests = world.user_traits.interests.copy()
    weights = world.user_traits.weights.copy()
    interests[:, 0], weights[:, 0] = world.item_traits.vectors[one[:, 0]], 1.5
    closer = replace(
        world, user_traits=replace(world.user_traits, interests=interests, weights=weights)
    )
    before, after = met(world, one).watch_ms, met(closer, one).watch_ms
    assert (after >= before).all()
    assert after.mean() > 1.3 * before.mean()


def test_repetition_tires_and_rest_restores() -> None:
    world = small_world()
    one = random_pages(1)
    memory = fresh_memory(world)
    rested = logit(world, one, memory)
    memory.leaves[:, -3:] = world.item_traits.leaf[one]
    tired = logit(world, one, memory)
    assert (tired < rested - 2 * world.parameters.fatigue).all()
    begin_sessions(memory, USERS)
    assert logit(world, one, memory) == pytest.approx(rested)


def test_repetition_within_a_page_tires_too() -> None:
    world = small_world()
    same_leaf = np.tile(
        np.flatnonzero(world.item_traits.leaf == world.item_traits.leaf[0])[:1], (300, 6)
    )
    drop = np.diff(logit(world, same_leaf, fresh_memory(world)), axis=1)
    assert (drop < 0).all()


def test_a_sibling_leaf_tires_less_than_the_same_leaf() -> None:
    world = small_world()
    leaf, branch = world.item_traits.leaf, world.item_traits.branch
    row = next(n for n in range(400) if ((branch == branch[n]) & (leaf != leaf[n])).any())
    sibling = np.flatnonzero((branch == branch[row]) & (leaf != leaf[row]))[0]
    other = np.flatnonzero(branch != branch[row])[0]
    felt = {}
    for name, seen in {"same": row, "sibling": sibling, "other": other}.items():
        memory = fresh_memory(world)
        memory.leaves[:, -1] = leaf[seen]
        felt[name] = logit(world, np.full((300, 1), row), memory).mean()
    assert felt["same"] < felt["sibling"] < felt["other"]


def test_what_was_just_seen_draws_less_and_position_wears_on() -> None:
    world = small_world()
    one = random_pages(1)
    memory = fresh_memory(world)
    fresh = logit(world, one, memory)
    memory.items[:, -1] = one[:, 0]
    assert (fresh - logit(world, one, memory)) == pytest.approx(world.parameters.repeat_logit)
    late = fresh_memory(world)
    late.position[:] = 40
    assert (logit(world, one, late) < fresh).all()


def test_memory_holds_what_was_examined() -> None:
    world, pages, memory = small_world(), random_pages(8), fresh_memory(small_world())
    told = met(world, pages, memory=memory)
    seen = told.examined.sum(axis=1)
    assert (memory.position == seen).all()
    for user in range(20):
        expected = pages[user, : seen[user]]
        assert memory.items[user, -seen[user] :].tolist() == expected.tolist()
        assert (memory.items[user, : -seen[user]] == -1).all()


def test_a_long_view_wakes_a_hidden_interest() -> None:
    world = small_world()
    hidden = world.user_traits.hidden.argmax(axis=1)
    wanted = world.user_traits.interests[USERS, hidden]
    nearest = (wanted @ world.item_traits.vectors.T).argmax(axis=1)[:, None]
    memory = fresh_memory(world)
    times = np.full(300, world.start_ms)
    asleep = affinities(world, USERS, nearest, times, memory.awake)
    viewed = met(world, nearest, memory=memory).reactions["long_view"][:, 0]
    near = (wanted * world.item_traits.vectors[nearest[:, 0]]).sum(axis=1) >= 0.4
    woken = memory.awake[USERS, hidden]
    assert woken[viewed & near].all()
    assert not woken[~viewed].any()
    assert woken.sum() > 30
    awake = affinities(world, USERS, nearest, times, memory.awake)
    assert (awake >= asleep).all()
    assert (awake > asleep)[woken].mean() > 0.5


def test_buyers_prefer_cheap_and_trusted() -> None:
    world = small_world()
    traits = world.item_traits
    products = np.flatnonzero(traits.kind == PRODUCT)
    rng = np.random.default_rng(0)

    def bought(price_gap: float, trust: float) -> int:
        changed = replace(
            traits,
            price_gap=np.full_like(traits.price_gap, price_gap),
            trust=np.full_like(traits.trust, trust),
        )
        altered = replace(world, item_traits=changed)
        pages = products[rng.integers(0, len(products), (300, 60))]
        return sum(int(met(altered, pages, n).reactions["purchase"].sum()) for n in range(12))

    assert bought(-1.5, 1.5) > 2 * bought(1.5, -1.5)


def test_a_user_has_one_page_at_a_time() -> None:
    world = small_world()
    with pytest.raises(ValueError, match="twice"):
        respond(
            world,
            np.array([1, 1]),
            np.zeros((2, 3), np.int64),
            np.full(2, world.start_ms),
            np.random.default_rng(0),
            fresh_memory(world),
        )


def test_session_value_adds_the_published_weights() -> None:
    told = met(small_world(), random_pages(10))
    expected = sum(w * told.reactions[name] for name, w in VALUE_WEIGHTS.items())
    assert values(told) == pytest.approx(expected)
    assert (values(told)[~told.examined] == 0).all()


def test_videos_end_and_other_kinds_do_not() -> None:
    world = small_world()
    pages = random_pages(10)
    told = met(world, pages)
    videos = world.item_traits.kind[pages] == VIDEO
    assert told.reactions["complete"][videos].any()
    assert not told.reactions["complete"][~videos].any()


def test_the_model_is_frozen() -> None:
    """A change here is a new response model: every closed-loop figure must be measured anew."""
    told = met(small_world(), random_pages(12), seed=11)
    assert {name: int(happened.sum()) for name, happened in told.reactions.items()} == {
        "play": 673,
        "long_view": 428,
        "complete": 133,
        "skip": 1242,
        "like": 29,
        "comment": 3,
        "share": 3,
        "follow": 2,
        "click_product": 16,
        "purchase": 1,
        "not_interested": 7,
    }
    assert told.watch_ms.sum(dtype=np.float64) == pytest.approx(34_011_851, rel=1e-6)
