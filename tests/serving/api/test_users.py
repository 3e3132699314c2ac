"""What is recorded of people, over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from serving.api import erasures
from serving.archive.archiver import Archiver
from serving.archive.store import LocalStore
from tests.memory_state import MemoryState
from tests.serving.api.conftest import Served
from tests.serving.archive.streams import START_MS, MemoryStream, event_fields, served_fields

PATH = "/v1/users/u-1"
FACTS = {
    "region": "cn",
    "birth_year": 1990,
    "time_zone": "Asia/Shanghai",
    "personalised": False,
    "blocks": {"creators": ["c-1"], "categories": ["food"]},
}


def test_a_user_is_recorded_corrected_and_read(served: Served) -> None:
    put = served.client.request("PUT", PATH, json=FACTS)
    assert put.status_code == 200
    assert put.json()["user"]["region"] == "CN"
    assert served.client.get(PATH).json()["user"] == put.json()["user"]
    assert served.client.request("PUT", PATH, json={"region": "US"}).status_code == 200
    found = served.client.get(PATH).json()["user"]
    assert (found["region"], found["birth_year"], found["personalised"]) == ("US", None, True)


@pytest.mark.parametrize(
    "body",
    [{"birth_year": 1500}, {"time_zone": "Moon/Base"}, {"region": "UK"}, {"colour": 1}],
)
def test_bad_facts_are_refused(served: Served, body: dict[str, Any]) -> None:
    assert served.client.request("PUT", PATH, json=body).status_code == 422
    assert served.client.get(PATH).status_code == 404


@pytest.mark.parametrize(
    ("facts", "value"), [({"birth_year": 1500}, 1500), ({"time_zone": "Moon/Base"}, "Moon/Base")]
)
def test_the_bad_fact_is_named_and_no_other_is_shown(
    served: Served, facts: dict[str, Any], value: Any
) -> None:
    refused = served.client.request("PUT", PATH, json={"region": "CN"} | facts).json()["error"]
    (detail,) = refused["details"]
    assert (detail["field"], detail["value"]) == (next(iter(facts)), value)
    assert "Value error" not in refused["message"]


def test_the_export_holds_facts_and_behaviour(served: Served) -> None:
    assert served.client.get(f"{PATH}/export").status_code == 404
    event = {"event_id": "e", "user_id": "u-1", "item_id": "item-1", "type": "like"}
    event["time"] = "2026-01-01T00:00:00Z"
    served.services.clock_ms = lambda: 1_767_300_000_000
    assert served.client.post("/v1/events", json={"events": [event]}).status_code == 202
    found = served.client.get(f"{PATH}/export").json()
    assert found["user"] is None
    assert [one["item_id"] for one in found["recent"]] == ["item-1"]
    served.client.request("PUT", PATH, json=FACTS)
    assert served.client.get(f"{PATH}/export").json()["user"]["region"] == "CN"


def like(user_id: str, event_id: str) -> dict[str, Any]:
    event = {"event_id": event_id, "user_id": user_id, "item_id": "item-1", "type": "like"}
    return event | {"time": "2026-01-01T00:00:00Z"}


def test_an_erasure_is_told_as_under_way_until_it_is_done(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures, "WAIT_S", 0.0)
    served.client.request("PUT", PATH, json=FACTS)
    asked = served.client.request("DELETE", PATH)
    assert (asked.status_code, asked.json()["erased_at_ms"]) == (202, None)
    assert "u-1" not in asked.text
    assert served.client.request("PUT", PATH, json=FACTS).status_code == 409
    receipt_id = asked.json()["receipt_id"]
    store = served.services.stores.erasures
    (leaving,) = store.pending()
    store.forget("archiver", leaving)
    store.close("archiver", receipt_id)
    receipt = served.client.get(f"/v1/erasures/{receipt_id}").json()
    assert (receipt["stores"], receipt["model"]) == ({"records": 3}, "pending")
    assert receipt["erased_at_ms"] >= receipt["requested_at_ms"]
    assert served.client.get("/v1/erasures/none").status_code == 404


def test_events_of_the_erased_are_refused_and_their_pages_are_anonymous(served: Served) -> None:
    state = served.services.state
    assert isinstance(state, MemoryState)
    state.barred.add(served.services.stores.users.subject("u-1"))
    served.services.clock_ms = lambda: 1_767_300_000_000
    batch = {"events": [like("u-2", "a"), like("u-1", "b")]}
    refused = served.client.post("/v1/events", json=batch)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "user_erased")
    assert [one["field"] for one in refused.json()["error"]["details"]] == ["events.1.user_id"]
    assert served.client.get("/v1/users/u-2/export").status_code == 404  # nothing was kept
    page = served.client.post("/v1/feed", json={"user_id": "u-1", "k": 3})
    assert (page.status_code, len(page.json()["items"])) == (200, 3)
    draft, _ = state.served[-1]
    assert draft.user_id == ""
    assert b"u-1" not in draft.header


def test_the_export_holds_what_is_archived(served: Served) -> None:
    stream = MemoryStream()
    for n, user in enumerate(("u-1", "u-2")):
        stream.add(START_MS + 2 * n, event_fields(f"{user}-a", f"{user}-b", user=user))
        stream.add(START_MS + 2 * n + 1, served_fields(f"r-{user}", "i1", user=user))
    folder = Path(served.services.archive.root)  # type: ignore[attr-defined]
    Archiver(stream, LocalStore(folder)).drain()
    found = served.client.get(f"{PATH}/export").json()
    assert [row["event_id"] for row in found["events"]] == ["u-1-a", "u-1-b"]
    assert [(row["request_id"], row["item_id"]) for row in found["served"]] == [("r-u-1", "i1")]
    assert found["user"] is None
    (damaged, *_) = (folder / "segments").rglob("events-*.parquet")
    damaged.write_bytes(b"x")
    refused = served.client.get(f"{PATH}/export")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "archive_unreadable")
