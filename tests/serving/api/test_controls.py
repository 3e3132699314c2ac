"""Operators steer the feed, and every replica follows."""

from typing import Any

import pytest

from serving.api.schemas import FeedAnswer
from serving.control_book import ControlBook
from serving.feed.controls import Control, controlled, fault_of
from serving.feed.rules import Boost, Pin
from tests.serving.api.conftest import Served
from tests.serving.api.test_feed import feed, item_ids
from tests.serving.feed.fixed_model import RULES

CONTROLS = "/v1/admin/feed/controls"


def put(served: Served, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = served.client.post(CONTROLS, json={"reason": "a test"} | body)
    assert answer.status_code == status, answer.text
    content: dict[str, Any] = answer.json()
    return content


def explained(served: Served, **body: Any) -> FeedAnswer:
    return feed(served, history=[], k=5, explain=True, **body)


def test_a_pin_holds_at_once_where_it_was_meant(served: Served) -> None:
    last = item_ids(feed(served, history=[], k=100))[-1]
    number = put(served, kind="pin", target=f"item:{last}", value=2, region="CN")["sequence"]
    page = explained(served, context={"region": "cn"})
    assert (page.items[1].item_id, page.items[1].source) == (last, "pinned")
    assert "pinned" in {why.code for why in page.items[1].reasons or ()}
    assert last not in item_ids(explained(served, context={"region": "US"}))
    lifted = {"kind": "pin", "target": f"item:{last}", "region": "CN", "reason": "over"}
    answer = served.client.post(f"{CONTROLS}/lift", json=lifted)
    assert answer.json()["sequence"] == number + 1
    assert last not in item_ids(explained(served, context={"region": "CN"}))
    assert served.client.post(f"{CONTROLS}/lift", json=lifted).status_code == 404


def test_burying_and_boosting_move_items_and_are_explained(served: Served) -> None:
    first, *_, last = item_ids(explained(served))
    put(served, kind="bury", target=f"item:{first}")
    put(served, kind="boost", target=f"item:{last}", value=10)
    page = explained(served)
    assert first not in item_ids(page)
    moved = item_ids(page).index(last)
    assert moved < 4
    assert "加权" in "".join(reason.words.zh for reason in page.items[moved].reasons or ())


def test_what_is_switched_off_is_listed_and_on_the_audit_trail(served: Served) -> None:
    put(served, kind="kill", target="selector:diversity", until="2999-01-01T00:00:00Z")
    (control,) = served.client.get(CONTROLS).json()["controls"]
    assert (control["kind"], control["target"]) == ("kill", "selector:diversity")
    assert served.services.rules(None).killed == {"selector:diversity"}
    actions = [row.action for row in served.services.stores.trail.rows(0, 100)]
    assert actions[-1] == "feed.kill"


def test_another_replica_follows(served: Served) -> None:
    replica = ControlBook(served.services.stores.controls)
    put(served, kind="kill", target="ranker")
    assert replica.holding == ()
    served.client.run(replica.refresh())
    assert replica.holding == served.services.controls.holding


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "kill", "target": "source:popular"}, "target"),
        ({"kind": "pin", "target": "creator:c", "value": 1}, "target"),
        ({"kind": "pin", "target": "item:i", "value": 0}, "value"),
        ({"kind": "pin", "target": "item:i", "value": 1.5}, "value"),
        ({"kind": "boost", "target": "item:i", "value": 11}, "value"),
        ({"kind": "boost", "target": "item:", "value": 2}, "target"),
        ({"kind": "bury", "target": "shop:s"}, "target"),
        ({"kind": "bury", "target": "item:i", "value": 2}, "value"),
        ({"kind": "kill", "target": "ranker", "value": 2}, "value"),
        ({"kind": "kill", "target": "ranker", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"kind": "kill", "target": "ranker", "region": "UK"}, "region"),
    ],
)
def test_a_control_that_means_nothing_is_refused(
    served: Served, body: dict[str, Any], field: str
) -> None:
    refused = put(served, 422, **body)
    assert [one["field"] for one in refused["error"]["details"]] == [field]
    assert served.client.get(CONTROLS).json()["controls"] == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("pin", "item:i", 1), ("bury", "item:i", 0)),
        (("bury", "creator:c", 0), ("boost", "creator:c", 2)),
        (("pin", "item:i", 3), ("pin", "item:j", 3)),
    ],
)
def test_a_control_against_one_that_holds_is_refused(
    served: Served, first: tuple[str, str, int], second: tuple[str, str, int]
) -> None:
    one, other = (
        {"kind": kind, "target": target, "value": value} for kind, target, value in (first, second)
    )
    put(served, 200, **one)
    told = put(served, 409, **other)["error"]["message"]
    assert all(f"{control[0]} of {control[1]}" in told for control in (first, second))
    assert len(served.client.get(CONTROLS).json()["controls"]) == 1
    put(served, 200, **other, region="CN")  # an exception for one region
    put(served, 200, **one)  # the same again


def test_controls_hold_on_their_surface_until_they_are_over() -> None:
    controls = [
        Control("pin", "item:a", surface="home", value=3.0),
        Control("boost", "creator:c", region="CN", value=2.0),
        Control("bury", "category:tea", until_ms=100),
        Control("kill", "ranker"),
    ]
    assert [fault_of(one, 0) for one in controls] == [None] * 4
    rules = controlled(RULES, controls, "home", "CN", 99)
    assert rules.pins == (Pin("a", 3),)
    assert rules.boosts == (Boost("creator", "c", 2.0), Boost("category", "tea", 0.0))
    assert rules.killed == {"ranker"}
    later = controlled(RULES, controls, None, None, 100)
    assert (later.pins, later.boosts) == ((), ())
