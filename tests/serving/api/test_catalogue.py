"""Items, media and creators over HTTP."""

import errno
import hashlib
import os
from typing import Any

import pytest

from tests.serving.api.conftest import Served

PICTURE = b"\x89PNG\r\n\x1a\n and more"


def item(item_id: str = "tea-1", **changes: Any) -> dict[str, Any]:
    row = {"item_id": item_id, "kind": "product", "creator_id": "c-1", "title": "茶壶"}
    return row | {"price": 10.0, "currency": "CNY", "published_at_ms": 1} | changes


def put(served: Served, *rows: Any) -> Any:
    return served.client.request("PUT", "/v1/items", json={"items": list(rows)})


def test_an_item_is_stored_read_changed_and_deleted(served: Served) -> None:
    stored = put(served, item()).json()
    assert stored["items"] == [{"item_id": "tea-1", "outcome": "created", "content_version": 1}]
    assert put(served, item()).json()["items"][0]["outcome"] == "unchanged"
    changed = served.client.request("PATCH", "/v1/items/tea-1", json={"price": 9.0}).json()
    assert (changed["outcome"], changed["content_version"]) == ("changed", 2)
    found = served.client.get("/v1/items/tea-1").json()
    assert (found["item"]["price"], found["item"]["title"]) == (9.0, "茶壶")
    assert [status["status"] for status in found["statuses"]] == ["visible"]
    assert served.client.request("DELETE", "/v1/items/tea-1").json()["item_id"] == "tea-1"
    assert served.client.get("/v1/items/tea-1").status_code == 404
    assert served.client.request("DELETE", "/v1/items/tea-1").status_code == 404
    assert served.client.request("PATCH", "/v1/items/tea-1", json={}).status_code == 404


def test_a_bad_batch_stores_nothing_and_names_every_row_and_field(served: Served) -> None:
    rows = [item("good"), item("a", kind="podcast", price=-1), item("good"), "no item"]
    refused = put(served, *rows)
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["code"] == "invalid_request"
    fields = [detail["field"] for detail in error["details"]]
    assert fields == ["items.1.kind", "items.1.price", "items.2.item_id", "items.3"]
    assert served.client.get("/v1/items/good").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [({"items": []}, "items"), ({"items": [item()], "x": 1}, "x"), ({}, "items")],
)
def test_a_bad_batch_body_is_refused(served: Served, body: dict[str, Any], field: str) -> None:
    refused = served.client.request("PUT", "/v1/items", json=body)
    assert refused.status_code == 422
    assert refused.json()["error"]["details"][0]["field"] == field


@pytest.mark.parametrize(
    ("wrong", "value", "limit"),
    [
        ({"in_stock": "no"}, "no", None),
        ({"price": "9.5"}, "9.5", None),
        ({"published_at_ms": True}, True, None),
        ({"duration_ms": 1.5}, 1.5, None),
        ({"price": -1}, -1, 0),
        ({"title": "t" * 501}, "t" * 100 + "…", 500),
    ],
)
def test_a_fault_of_a_row_tells_value_and_limit(
    served: Served, wrong: dict[str, Any], value: Any, limit: Any
) -> None:
    (detail,) = put(served, item(**wrong)).json()["error"]["details"]
    assert detail["field"] == f"items.0.{next(iter(wrong))}"
    assert (detail["value"], detail["limit"]) == (value, limit)


def test_a_region_that_does_not_exist_is_refused(served: Served) -> None:
    refused = put(served, item(regions=["gb", "UK"]))
    (detail,) = refused.json()["error"]["details"]
    assert (detail["field"], detail["value"]) == ("items.0.regions.1", "UK")
    assert "ISO 3166" in detail["message"]
    put(served, item(regions=["gb"]))
    assert served.client.get("/v1/items/tea-1").json()["item"]["regions"] == ["GB"]


def test_changing_an_item_of_the_bundle_tells_the_way_out(served: Served) -> None:
    for method in ("PATCH", "DELETE"):
        refused = served.client.request(method, "/v1/items/item-7", json={})
        assert refused.status_code == 404
        assert "PUT /v1/items" in refused.json()["error"]["message"]


def test_a_bad_patch_changes_nothing(served: Served) -> None:
    put(served, item())
    for change in ({"price": -1}, {"surprise": 1}, {"item_id": "other"}):
        refused = served.client.request("PATCH", "/v1/items/tea-1", json=change)
        assert refused.status_code == 422
        assert refused.json()["error"]["details"][0]["field"] == next(iter(change))
    assert served.client.get("/v1/items/tea-1").json()["item"]["price"] == 10.0


def test_an_item_of_the_bundle_is_known_and_visible(served: Served) -> None:
    found = served.client.get("/v1/items/item-7").json()
    assert found["item"]["item_id"] == "item-7"
    assert (found["content_version"], found["statuses"]) == (0, [])


def test_an_id_may_hold_a_slash(served: Served) -> None:
    put(served, item("shop/7"))
    assert served.client.get("/v1/items/shop%2F7").json()["item"]["item_id"] == "shop/7"


def upload(served: Served, content: bytes, mime: str = "image/png") -> Any:
    return served.client.post("/v1/media", content=content, headers={"Content-Type": mime})


def test_media_is_kept_once_under_its_checksum_and_may_then_be_named(served: Served) -> None:
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    media = [{"sha256": sha256, "mime": "image/png"}]
    assert put(served, item(media=media)).status_code == 422
    first = upload(served, PICTURE)
    assert first.status_code == 201
    assert (first.json()["sha256"], first.json()["created"]) == (sha256, True)
    assert upload(served, PICTURE).json()["created"] is False
    kept = [path for path in served.services.media.rglob("*") if path.is_file()]
    assert [path.name for path in kept] == [sha256]
    assert kept[0].read_bytes() == PICTURE
    assert put(served, item(media=media)).status_code == 200


def test_bad_media_is_refused_and_leaves_nothing(served: Served) -> None:
    limit = served.services.media_limit_bytes
    assert upload(served, b"x", "text/html").status_code == 422
    assert upload(served, b"").status_code == 422
    assert upload(served, bytes(limit + 1)).status_code == 413
    assert not [path for path in served.services.media.rglob("*") if path.is_file()]
    for content in (b"<svg/>", b"picture", PICTURE[:4]):
        assert upload(served, content).json()["error"]["code"] == "unsupported_format"
    refused = upload(served, PICTURE, "video/mp4").json()["error"]
    assert refused["code"] == "another_format"
    assert "image/png" in refused["message"]
    assert not [path for path in served.services.media.rglob("*") if path.is_file()]
    film = b"\x00\x00\x00\x18ftypmp42"
    assert upload(served, film, "video/mp4").status_code == 201
    assert upload(served, film, "video/quicktime").json()["error"]["code"] == "conflict"


def test_a_full_disk_leaves_nothing_of_an_upload(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        refused = upload(served, PICTURE)
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "storage_full")
    assert not [path for path in served.services.media.rglob("*") if path.is_file()]
    assert upload(served, PICTURE).status_code == 201


def test_media_of_more_bytes_than_another_body_may_have_is_taken(served: Served) -> None:
    assert upload(served, PICTURE + bytes(3 << 20)).status_code == 201


def test_a_creator_is_suspended_and_restored(served: Served) -> None:
    put(served, item())
    path = "/v1/creators/c-1"
    answer = served.client.post(f"{path}/suspend", json={"reason": "fraud"}).json()
    assert (answer["creator_id"], answer["suspended"]) == ("c-1", True)
    rows = served.services.stores.visibility.rows_of_subjects(["creator:c-1"])
    assert [row.status for row in rows["creator:c-1"]] == ["hidden"]
    assert served.client.post(f"{path}/restore", json={"reason": "appeal"}).json()["suspended"] is (
        False
    )
    assert served.client.post(f"{path}/suspend", json={}).status_code == 422
