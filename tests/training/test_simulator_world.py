from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features import item_features
from tests.training.simulated import small_world
from training.datasets.simulator import World, draw_visits, draw_world, new_items
from training.datasets.world.items import PRODUCT
from training.datasets.world.parameters import WorldParameters, draw_parameters, ranges
from training.datasets.world.people import HOUR_MS, interest_weights
from training.datasets.world.texts import VIOLATIONS
from training.datasets.world.vocabulary import LANGUAGES, leaves

FORBIDDEN = (
    "最",
    "第一",
    "国家级",
    "顶级",
    "根治",
    "高仿",
    "加薇",
    "No.1",
    "best",
    "cure",
    "replica",
)


def tables(world: World) -> list[pa.Table]:
    return [world.items, world.users, world.creators, world.truth]


def arrays(world: World) -> list[Any]:
    traits = (world.item_traits, world.user_traits)
    return [getattr(part, field.name) for part in traits for field in fields(part)]


def test_same_seed_draws_the_same_bytes_and_another_seed_another_world() -> None:
    first, again = small_world(0), draw_world(0, users=300, items=400, violation_share=0.1)
    assert all(a.equals(b) for a, b in zip(tables(first), tables(again), strict=True))
    assert all(
        a.tobytes() == b.tobytes() for a, b in zip(arrays(first), arrays(again), strict=True)
    )
    other = small_world(1)
    assert not set(first.items["item_id"].to_pylist()) & set(other.items["item_id"].to_pylist())
    assert first.parameters != other.parameters


def test_more_users_leave_the_catalogue_as_it_was() -> None:
    assert draw_world(4, users=5, items=50).items.equals(draw_world(4, users=90, items=50).items)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_every_world_is_drawn_within_the_published_ranges(seed: int) -> None:
    drawn = draw_parameters(np.random.default_rng(seed))
    for name, limits in ranges().items():
        assert limits["low"] <= getattr(drawn, name) <= limits["high"], name


def test_every_parameter_has_a_range_a_unit_and_a_source() -> None:
    assert len(ranges()) == len(fields(WorldParameters))
    for name, limits in ranges().items():
        assert limits["low"] < limits["high"], name
        assert limits["unit"], name
        assert limits["source"], name


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_world(0, users=0, items=5),
        lambda: draw_world(0, users=5, items=0),
        lambda: draw_world(0, users=5, items=5, violation_share=1.5),
    ],
)
def test_impossible_sizes_are_refused_by_name(draw: Callable[[], World]) -> None:
    with pytest.raises(ValueError, match=r"users = .* items = .* violation_share"):
        draw()


def test_items_keep_the_contract() -> None:
    world = small_world()
    ids = set(world.items["item_id"].to_pylist())
    paths = {leaf.path for leaf in leaves()}
    assert len(ids) == len(world.items)
    assert world.items.column_names[0] == "item_id"
    for item in world.items.to_pylist():
        assert item["kind"] in ("video", "live", "product")
        assert item["category"] in paths
        assert item["title"]
        assert item["text"]
        assert item["tags"]
        assert set(item["product_ids"]) <= ids
        assert (item["price"] is not None) == (item["kind"] == "product")
        assert (item["duration_ms"] is not None) == (item["kind"] == "video")
        assert (item["expires_at"] is not None) == (item["kind"] == "live")
        assert item["audience"] == ("adult" if item["category"] == "food/liquor" else "all")
        assert (item["language"] == "zh") == ("CN" in item["regions"])
        assert item["published_at"] <= world.start_ms
        if item["kind"] == "product":
            assert item["shop_id"]
            assert item["shop_grade"] in ("S", "A", "B", "C")
            assert item["list_price"] >= item["price"] > 0


def test_content_sells_a_product_of_its_own_creator_that_was_there_before() -> None:
    world = small_world()
    records = {item["item_id"]: item for item in world.items.to_pylist()}
    sold = [(item, records[p]) for item in records.values() for p in item["product_ids"]]
    assert len(sold) > 20
    for content, product in sold:
        assert product["kind"] == "product"
        assert content["kind"] != "product"
        assert product["creator_id"] == content["creator_id"]
        assert product["published_at"] <= content["published_at"]


def test_users_keep_the_contract() -> None:
    users = small_world().users
    ages = 2026 - np.array([y for y in users["birth_year"].to_pylist() if y is not None])
    assert users.column_names == ["user_id", "region", "language", "birth_year", "time_zone"]
    assert users["birth_year"].null_count > 0
    assert (ages < 18).any()
    assert ages.min() >= 10
    assert len(set(users["time_zone"].to_pylist())) >= 5
    assert set(users["language"].to_pylist()) == set(LANGUAGES)


def test_violations_show_in_the_words_and_are_recorded_apart() -> None:
    world = small_world()
    planted = 0
    for item, truth in zip(world.items.to_pylist(), world.truth.to_pylist(), strict=True):
        words = {"title": item["title"], "text": item["text"], "cover": ""}
        if truth["violation"] is None:
            assert truth["evidence"] is None
            assert not any(term in item["title"] + item["text"] for term in FORBIDDEN), item
            continue
        planted += 1
        assert truth["violation"] in VIOLATIONS
        assert truth["surface"] == "cover" or truth["evidence"] in words[truth["surface"]]
        if truth["violation"] == "commerce/price_fraud":
            assert item["list_price"] >= 10 * item["price"]
    assert 0.05 * len(world.items) < planted < 0.16 * len(world.items)
    assert not {"violation", "quality", "evidence"} & set(world.items.column_names)


def test_ids_and_rows_say_nothing_of_quality() -> None:
    world = draw_world(2, users=1, items=3000)
    numbers = [int(i[1:], 16) / 2**64 for i in world.items["item_id"].to_pylist()]
    quality = world.truth["quality"].to_numpy()
    assert abs(np.corrcoef(numbers, quality)[0, 1]) < 0.06
    assert abs(np.corrcoef(np.arange(len(quality)), quality)[0, 1]) < 0.06


def test_content_tells_most_of_what_an_item_is_about_but_little_of_its_quality() -> None:
    world = draw_world(3, users=1, items=800)
    tokens = item_features(world.items.to_pylist()).tokens
    present = np.zeros((len(tokens), tokens.max() + 1), np.float32)
    np.put_along_axis(present, tokens, 1.0, axis=1)
    present[:, 0] = 0.0
    held = np.arange(len(tokens)) % 4 == 0
    kernel = present @ present[~held].T
    ridge = kernel[~held] + 10.0 * np.eye((~held).sum())

    def predicted(target: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = kernel[held] @ np.linalg.solve(ridge, target[~held])
        return found

    vectors = predicted(world.item_traits.vectors)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors * world.item_traits.vectors[held]).sum(axis=1).mean() > 0.6
    quality = world.item_traits.quality
    assert np.corrcoef(predicted(quality), quality[held])[0, 1] < 0.45


def test_new_items_are_added_behind_the_old_ones() -> None:
    world = small_world()
    time_ms = world.start_ms + HOUR_MS
    grown = new_items(world, 20, time_ms, np.random.default_rng(1))
    assert len(grown.items) == len(grown.truth) == len(grown.item_traits) == 420
    assert grown.items.slice(0, 400).equals(world.items)
    assert len(world.items) == 400
    added = grown.items.slice(400)
    assert set(added["published_at"].to_pylist()) == {time_ms}
    assert len(pc.unique(grown.items["item_id"])) == 420
    again = new_items(world, 20, time_ms, np.random.default_rng(1))
    assert again.items.equals(grown.items)
    own = np.flatnonzero(grown.item_traits.kind == PRODUCT)
    assert (grown.item_traits.product[own] == own).all()


def test_visits_follow_local_hours() -> None:
    world = draw_world(5, users=3000, items=2)
    visits = draw_visits(
        world.user_traits, world.start_ms, world.start_ms + 24 * HOUR_MS, np.random.default_rng(0)
    )
    assert (np.diff(visits.time_ms) >= 0).all()
    per_user = len(visits) / 3000
    assert per_user == pytest.approx(world.parameters.sessions_per_day, rel=0.1)
    china = world.user_traits.zone[visits.user_rows] == 0
    local = (visits.time_ms[china] // HOUR_MS + 8) % 24
    counts = np.bincount(local, minlength=24)
    assert counts[3:6].sum() * 3 < counts[19:22].sum()


def test_a_share_of_the_visits_is_drawn_for_short_logs() -> None:
    world = draw_world(5, users=2000, items=2)
    end_ms = world.start_ms + 24 * HOUR_MS
    visits = draw_visits(world.user_traits, world.start_ms, end_ms, np.random.default_rng(0), 0.1)
    assert len(visits) == pytest.approx(200 * world.parameters.sessions_per_day, rel=0.25)


def test_interests_drift_but_keep_their_bounds() -> None:
    world = small_world()
    rows = np.arange(300)
    today = interest_weights(world.user_traits, rows, np.full(300, world.start_ms))
    later = interest_weights(world.user_traits, rows, np.full(300, world.start_ms + 96 * HOUR_MS))
    held = world.user_traits.weights > 0
    assert (today[~held] == 0).all()
    assert (today[held] > 0).all()
    assert (today <= world.user_traits.weights + 1e-6).all()
    assert np.abs(today - later)[held].mean() > 0.03
