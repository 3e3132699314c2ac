import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from serving.app import Settings, build
from serving.live.mirror import VisibilityMirror
from serving.live.replica import carry_changes, hold_lease
from serving.live.takedown import REPLICAS, VisibilityLink
from serving.live.wire import state_client
from tests.memory_state import MemoryState
from tests.serving.api.conftest import Client, Served

PATH = "/v1/admin/takedowns"


def test_without_a_way_to_the_replicas_it_is_recorded_and_pending(served: Served) -> None:
    body = {"item_id": "item-7", "reason": "court order", "region": "cn"}
    answer = served.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["applied"]) == (202, "pending")
    stores = served.services.stores
    sequence = answer.json()["sequence"]
    assert stores.visibility.unsettled() == [(sequence, "item:item-7")]
    (row,) = stores.visibility.rows_of_subjects(["item:item-7"])["item:item-7"]
    assert (row.status, row.scope.region, row.decided) == ("hidden", "CN", True)
    (act,) = [row for row in stores.trail.rows(0, 100) if row.subject == "item:item-7"]
    assert (act.action, json.loads(act.detail)["reason"]) == ("item.decide", "court order")


def test_an_item_can_be_shown_without_being_spread(served: Served) -> None:
    body = {"item_id": "item-7", "reason": "dull"}
    assert served.client.post(f"{PATH}/limit", json=body).json()["applied"] == "pending"
    subjects = served.services.stores.visibility.rows_of_subjects(["item:item-7"])
    assert [row.status for row in subjects["item:item-7"]] == ["limited"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "r"}, "item_id"),
        ({"item_id": "item-7"}, "reason"),
        ({"item_id": "item-7", "reason": ""}, "reason"),
        ({"item_id": "item-7", "reason": " "}, "reason"),
        ({"item_id": "item-7", "reason": "r", "region": "UK"}, "region"),
        ({"item_id": "item-7", "reason": "r", "status": "hidden"}, "status"),
    ],
)
def test_bad_takedowns_are_refused(served: Served, body: dict[str, str], field: str) -> None:
    answer = served.client.post(PATH, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == field
    assert served.services.stores.visibility.newest_sequence() == 0


def test_an_item_is_limited_and_restored(served: Served) -> None:
    body = {"item_id": "item-7", "reason": "a borderline claim"}

    def statuses() -> list[str]:
        return [row["status"] for row in served.client.get("/v1/items/item-7").json()["statuses"]]

    assert served.client.post(f"{PATH}/limit", json=body).json()["applied"] == "pending"
    assert statuses() == ["limited"]
    served.client.post(f"{PATH}/restore", json=body | {"reason": "the claim is proved"})
    assert statuses() == ["visible"]


def test_an_id_that_nothing_has_is_told(served: Served) -> None:
    row = {"item_id": "new", "kind": "video", "creator_id": "c", "published_at_ms": 1}
    assert served.client.request("PUT", "/v1/items", json={"items": [row]}).status_code == 200
    known = {
        item_id: served.client.post(PATH, json={"item_id": item_id, "reason": "r"}).json()["known"]
        for item_id in ("item-7", "new", "itme-7")
    }
    assert known == {"item-7": True, "new": True, "itme-7": False}


@pytest.fixture
def connected(settings: Settings, live_url: str) -> Iterator[Served]:
    """The app over a real state server, with no replica that holds a lease."""
    with Redis.from_url(live_url) as client:
        client.flushall()
    app = build(settings, MemoryState(), process="test")
    link = VisibilityLink(state_client(live_url, 2.0), lease_s=0.2)
    app.state.services.link = link
    client = Client(app)
    yield Served(client, app, settings.serving.log.folder / "test.jsonl")
    client.run(link.close())
    client.close()
    app.state.services.stores.close()


def test_it_is_done_when_no_lease_is_left(connected: Served) -> None:
    answer = connected.client.post(PATH, json={"item_id": "item-7", "reason": "r"})
    assert (answer.status_code, answer.json()["applied"]) == (200, "done")


def test_a_replica_learns_what_was_recorded_and_leaves(connected: Served, live_url: str) -> None:
    visibility = connected.services.stores.visibility
    connected.client.post(f"{PATH}/restore", json={"item_id": "item-1", "reason": "r"})

    async def body() -> None:
        link = VisibilityLink(state_client(live_url, 2.0), lease_s=0.2)
        carrying = VisibilityLink(state_client(live_url, 2.0), lease_s=0.2)
        mirror = VisibilityMirror()
        tasks = [
            asyncio.create_task(hold_lease(link, visibility, mirror)),
            asyncio.create_task(carry_changes(carrying, visibility, interval_s=0.05)),
        ]
        while not mirror.trusted(time.monotonic()):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(visibility.set_suspended, "someone", "creator-3", True, "fraud")
        while visibility.unsettled() or mirror.hidden("CN", "all") != ["creator:creator-3"]:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await carrying.close()

    asyncio.run(asyncio.wait_for(body(), 20))
    with Redis.from_url(live_url) as client:
        assert set(client.hgetall(REPLICAS)) <= {b"(before the rebuild)"}
