"""What viewers get of an item by its verdicts."""

from dataclasses import replace

import pytest

from configs.labels import Action
from serving.moderation.settling import outcomes, status_of, texts_of
from serving.records.items import Item
from serving.records.status import EVERYONE, Scope, Status, StatusRow, resolve
from tests.serving.moderation.test_verdict import moderator


@pytest.mark.parametrize(
    ("suggestion", "uncertified", "status"),
    [
        ("pass", False, "visible"),
        ("pass", True, "visible"),
        ("review", True, "limited"),
        ("review", False, "pending"),
        ("block", False, "hidden"),
    ],
)
def test_a_suggestion_becomes_a_status(
    suggestion: Action, uncertified: bool, status: Status
) -> None:
    judge = moderator()
    verdict = replace(judge.judge(["x"]), suggestion=suggestion, uncertified=uncertified)
    assert status_of(verdict, judge.policies.default) == status


def test_each_region_sees_its_own_and_strangers_the_strictest() -> None:
    found = outcomes({"CN": "hidden", "US": "visible", "SEA": "hidden"})
    assert found == [(EVERYONE, "hidden"), (Scope("US"), "visible")]
    rows = [
        StatusRow("item:a", scope, status, False, 1, n) for n, (scope, status) in enumerate(found)
    ]
    seen = {region: resolve(rows, region, "all") for region in ("CN", "US", "SEA", "")}
    assert seen == {"CN": "hidden", "US": "visible", "SEA": "hidden", "": "hidden"}
    assert outcomes({"US": "visible"}) == [(EVERYONE, "visible")]


def test_all_words_of_an_item_are_read() -> None:
    item = Item(
        item_id="a", kind="video", creator_id="c", published_at_ms=1, title="t", tags=("x", "y")
    )
    assert texts_of(item) == {"title": "t", "tags": "x y"}
