"""What is recorded of people, over HTTP."""

from typing import Any

import pytest

from tests.serving.api.conftest import Served

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
    [{"birth_year": 1500}, {"time_zone": "Moon/Base"}, {"region": "?"}, {"colour": 1}],
)
def test_bad_facts_are_refused(served: Served, body: dict[str, Any]) -> None:
    assert served.client.request("PUT", PATH, json=body).status_code == 422
    assert served.client.get(PATH).status_code == 404


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
