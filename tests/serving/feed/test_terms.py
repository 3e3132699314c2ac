"""What the catalogue's facts allow whom."""

import random
from typing import Any

import numpy as np
import pytest

from models.features import empty_history
from serving.feed.candidates import unscored
from serving.feed.facts import CODED, COLUMNS, Facts, facts_of, told_of
from serving.feed.filters import FACT_FILTERS, filtered
from serving.feed.hydrate import Viewer
from serving.feed.terms import ANYONE, Standing, terms_of
from tests.item_table import item_table

NONE = np.empty(0, np.int64)


def reason_of(item: dict[str, Any], standing: Standing, now_ms: int = 1_000) -> str | None:
    """Why an item, third of four, is not shown."""
    items = [{}, {"regions": ["FR"]}, item, {"language": "fr", "creator_id": "c-2"}]
    facts = facts_of(item_table(items))
    viewer = Viewer(empty_history(), NONE, NONE, terms_of(standing, facts, now_ms))
    _, reasons = filtered(unscored(np.array([2]), "interest"), FACT_FILTERS, viewer)
    return reasons.get(2)


@pytest.mark.parametrize(
    ("item", "standing", "expected"),
    [
        ({}, ANYONE, None),
        ({"published_at_ms": 1_000}, ANYONE, None),
        ({"published_at_ms": 1_001}, ANYONE, "not_now"),
        ({"expires_at_ms": 1_001}, ANYONE, None),
        ({"expires_at_ms": 1_000}, ANYONE, "not_now"),
        ({"in_stock": False}, ANYONE, "sold_out"),
        ({"in_stock": None}, ANYONE, None),
        ({"regions": ["CN", "SG"]}, Standing("CN"), None),
        ({"regions": ["CN", "SG"]}, Standing("US"), "region"),
        ({"regions": ["CN"]}, ANYONE, None),
        ({"regions": []}, Standing("US"), None),
        ({"language": "zh-Hant"}, Standing(language="zh-CN"), None),
        ({"language": "zh"}, Standing(language="en"), "language"),
        ({"language": None}, Standing(language="en"), None),
        ({"audience": "adult"}, ANYONE, "audience"),
        ({"audience": "adult"}, Standing(adult=True), None),
        ({"creator_id": "c-1"}, Standing(blocked_creators=frozenset({"c-1"})), "blocked"),
        ({"creator_id": "c-1"}, Standing(blocked_creators=frozenset({"c-2"})), None),
        ({"category": "a/b"}, Standing(blocked_categories=frozenset({"a"})), "blocked"),
        ({"category": "ab"}, Standing(blocked_categories=frozenset({"a"})), None),
        ({"category": "a"}, Standing(blocked_categories=frozenset({"a/b"})), None),
    ],
)
def test_each_fact_allows_or_refuses(
    item: dict[str, Any], standing: Standing, expected: str | None
) -> None:
    assert reason_of(item, standing) == expected


def test_a_table_says_the_same_as_its_items_one_by_one() -> None:
    values: dict[str, list[Any]] = {
        "creator_id": ["c-1", "c-2", None],
        "category": ["a/b", "", None],
        "language": ["zh-Hant", "EN", None],
        "regions": [["CN", "SG"], ["CN"], [], None],
        "duration_ms": [1_500.5, None],
        "published_at_ms": [1_000, None],
        "expires_at_ms": [2_000, None],
        "audience": ["adult", "all", None],
        "kind": ["product", "video", None],
        "product_ids": [["p"], [], None],
        "in_stock": [True, False, None],
    }
    chance = random.Random(0)
    items = [{name: chance.choice(some) for name, some in values.items()} for _ in range(300)]
    expected = Facts()
    for row, item in enumerate(items):
        expected.put(row, item)
    found = facts_of(item_table(items))
    for name in COLUMNS.names or ():
        np.testing.assert_array_equal(found.column(name), expected.column(name), name)
    assert found.creators.values == expected.creators.values
    assert found.regions.values == expected.regions.values


def test_facts_are_written_anew_and_grow() -> None:
    facts = facts_of(item_table([{"creator_id": f"c-{n % 7}"} for n in range(700)]))
    assert (len(facts), len(facts.creators.values)) == (700, 7)
    facts.put(3, {"creator_id": "new", "duration_ms": 5})
    assert facts.creators.values[facts.column("creator")[3]] == "new"
    facts.remove(3)
    assert facts.column("removed").sum() == 1
    facts.put(3, {})
    assert facts.column("removed").sum() == 0
    with pytest.raises(IndexError, match="row 701 comes after the next one, 700"):
        facts.put(701, {})


def test_facts_are_taken_over_by_others_with_other_codes() -> None:
    items: list[dict[str, Any]] = [
        {"creator_id": "b", "regions": ["CN"], "kind": "video"},
        {"creator_id": "a", "category": "x/y", "language": "en", "shop_grade": "S"},
        {"creator_id": "b", "duration_ms": 7, "audience": "adult", "in_stock": False},
    ]
    told = told_of(items)
    facts = facts_of(item_table([{"creator_id": "a"}, {"creator_id": "c"}]))
    before = facts.version
    facts.put_all(np.array([3, 1, 2]), told.take(np.array([2, 1, 0])))
    assert (len(facts), facts.version) == (4, before + 1)
    expected = Facts()
    for row, item in enumerate([{"creator_id": "a"}, items[1], items[0], items[2]]):
        expected.put(row, item)
    for name in set(COLUMNS.names or ()) - set(CODED):
        np.testing.assert_array_equal(facts.column(name), expected.column(name), name)
    for column, name in CODED.items():
        found, wanted = (
            [None if code < 0 else getattr(one, name).values[code] for code in one.column(column)]
            for one in (facts, expected)
        )
        assert found == wanted
    with pytest.raises(IndexError, match="rows up to 5 do not follow the last one, 3"):
        facts.put_all(np.array([5]), told.take(np.array([0])))
    facts.put_all(np.arange(4, 604), told.take(np.zeros(600, np.int64)))
    assert (len(facts), len(told)) == (604, 3)


def test_a_copy_of_facts_changes_apart() -> None:
    facts = told_of([{"creator_id": "a"}])
    other = facts.copied()
    other.put(0, {"creator_id": "b", "duration_ms": 5})
    assert facts.creators.values == ["a"]
    assert np.isnan(facts.column("duration_ms")[0])
    assert other.creators.values == ["a", "b"]
