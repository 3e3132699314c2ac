"""What every host of the app must do, asked over real sockets."""

import json
import os
import re
import signal
import socket
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from serving.api.errors import ErrorAnswer
from serving.api.schemas import FeedAnswer, RankAnswer
from serving.archive.commits import SegmentKind
from tests.e2e.server import ACCESS_LOG, Server
from tests.serving.api.bad_requests import BAD_REQUESTS, BadRequest

BODY_LIMIT_BYTES = 2 << 20
RECOVERY_LIMIT_S = 20


def like(user_id: str, item_id: str) -> dict[str, Any]:
    return {
        "event_id": uuid4().hex,
        "user_id": user_id,
        "item_id": item_id,
        "type": "like",
        "time": datetime.now(UTC).isoformat(),
    }


def feed(server: Server, user_id: str) -> FeedAnswer:
    response = server.http.post("/v1/feed", json={"user_id": user_id, "k": 10})
    assert response.status_code == 200, response.text
    return FeedAnswer.model_validate(response.json())


def decide(server: Server, path: str, item_id: str) -> httpx.Response:
    return server.http.post(path, json={"item_id": item_id, "reason": "a test"})


class HostContract:
    """Subclasses give the fixture `server`."""

    def test_events_change_the_next_feed(self, server: Server) -> None:
        user = uuid4().hex
        assert feed(server, user).degraded == ["unknown_user"]
        events = [like(user, "item-3"), like(user, "item-8")]
        accepted = server.http.post("/v1/events", json={"events": events})
        assert (accepted.status_code, accepted.json()["accepted"]) == (202, 2)
        after = feed(server, user)
        assert after.degraded == []
        assert {item.source for item in after.items} == {"interest"}

    def test_events_reach_the_archive_once(self, server: Server) -> None:
        batch = {"events": [like("archived", "item-3"), like("archived", "item-8")]}
        for _ in range(2):
            assert server.http.post("/v1/events", json=batch).status_code == 202
        sent = {(event["event_id"], event["item_id"]) for event in batch["events"]}
        deadline = time.monotonic() + RECOVERY_LIMIT_S
        while (
            len(found := [row for row in server.archived("events") if row["user_id"] == "archived"])
            < 2
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert len(found) == 2
        assert {(row["event_id"], row["item_id"]) for row in found} == sent

    def test_served_pages_reach_the_archive(self, server: Server) -> None:
        user = uuid4().hex
        response = server.http.post("/v1/feed", json={"user_id": user, "k": 3}).json()
        deadline = time.monotonic() + RECOVERY_LIMIT_S
        while not (rows := [row for row in server.archived("served") if row["user_id"] == user]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert {row["request_id"] for row in rows} == {response["request_id"]}
        shown = [(item["item_id"], item["position"] - 1) for item in response["items"]]
        assert [(row["item_id"], row["position"]) for row in rows] == shown
        assert {(row["source"], row["propensity"]) for row in rows} == {("popular", 1.0)}

    def test_an_erased_user_is_nowhere_and_stays_away(self, server: Server) -> None:
        user = f"leaving-{uuid4().hex}"
        server.http.put(f"/v1/users/{user}", json={"region": "CN", "birth_year": 1990})
        batch = {"events": [like(user, "item-3"), like(user, "item-8")]}
        assert server.http.post("/v1/events", json=batch).status_code == 202
        feed(server, user)
        receipt = server.http.delete(f"/v1/users/{user}")
        assert receipt.status_code == 200, receipt.text
        assert receipt.json()["stores"] == {
            "archive": 12,
            "state": 1,
            "live_state": 2,
            "records": 1,
        }
        refused = server.http.post("/v1/events", json={"events": [like(user, "item-3")]})
        assert refused.json()["error"]["code"] == "user_erased"
        assert feed(server, user).degraded == ["unknown_user"]
        assert server.http.get(f"/v1/users/{user}/export").status_code == 404
        files = [path for path in server.folder.rglob("*") if path.is_file()]
        assert not [path for path in files if user.encode() in path.read_bytes()]
        kinds: tuple[SegmentKind, ...] = ("events", "served", "rejected")
        assert not [kind for kind in kinds if user in repr(server.archived(kind))]

    def test_what_is_taken_down_is_served_to_nobody_until_it_is_restored(
        self, server: Server
    ) -> None:
        item = feed(server, uuid4().hex).items[0].item_id
        taken = decide(server, "/v1/admin/takedowns", item)
        assert (taken.status_code, taken.json()["applied"]) == (200, "done")
        for _ in range(5):
            assert item not in {one.item_id for one in feed(server, uuid4().hex).items}
        body = {"history": [], "candidates": [item], "k": 1}
        ranked = server.http.post("/v1/rank", json=body).json()
        assert ranked["removed"] == [{"item_id": item, "reason": "hidden"}]
        assert decide(server, "/v1/admin/takedowns/restore", item).status_code == 200
        assert feed(server, uuid4().hex).items[0].item_id == item

    def test_a_takedown_without_state_is_carried_later(self, server: Server) -> None:
        item = feed(server, uuid4().hex).items[1].item_id
        os.kill(server.live_process_id, signal.SIGSTOP)
        try:
            taken = decide(server, "/v1/admin/takedowns", item)
            assert (taken.status_code, taken.json()["applied"]) == (202, "pending")
            assert "state_unreachable" in feed(server, uuid4().hex).degraded
        finally:
            os.kill(server.live_process_id, signal.SIGCONT)
        deadline = time.monotonic() + RECOVERY_LIMIT_S
        while item in {one.item_id for one in feed(server, uuid4().hex).items}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert decide(server, "/v1/admin/takedowns/restore", item).status_code == 200

    def test_candidates_are_ranked(self, server: Server) -> None:
        body = {"history": [{"item_id": "item-3"}], "candidates": ["item-1", "nowhere"], "k": 5}
        response = server.http.post("/v1/rank", json=body)
        ranked = RankAnswer.model_validate(response.json())
        assert [item.item_id for item in ranked.items] == ["item-1"]
        assert ranked.removed[0].reason == "unknown"

    def test_probes_and_description_answer(self, server: Server) -> None:
        assert server.http.get("/healthz").json() == {"status": "alive"}
        assert server.http.get("/readyz").json()["state"] == "reachable"
        assert "tidegate_requests_total" in server.http.get("/metrics").text
        assert "/v1/feed" in server.http.get("/openapi.json").json()["paths"]

    @pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda bad: bad.name)
    def test_bad_requests_are_refused(self, server: Server, bad: BadRequest) -> None:
        response = server.http.post(bad.path, content=bad.body)
        error = ErrorAnswer.model_validate(response.json()).error
        assert (response.status_code, error.code) == (bad.status, bad.code)
        assert error.details[0].field == bad.field

    def test_unknown_paths_and_methods_have_the_same_shape(self, server: Server) -> None:
        for method, path, status in (
            ("GET", "/", 404),
            ("POST", "/nowhere", 404),
            ("POST", "/v1/feed/", 404),
            ("GET", "/v1/feed", 405),
        ):
            response = server.http.request(method, path)
            assert (response.status_code, response.is_redirect) == (status, False)
            ErrorAnswer.model_validate(response.json())

    def test_every_public_path_reaches_its_route(self, server: Server) -> None:
        for template, methods in server.http.get("/openapi.json").json()["paths"].items():
            path = re.sub(r"{\w+}", "x", template)
            for method in methods:
                response = server.http.request(method, path, content=b"")
                assert response.status_code != 405, (method, path)
                assert not response.is_redirect, (method, path)
                unrouted = f"{method.upper()} {path}: Not Found"
                assert unrouted not in response.text, (method, path)

    def test_a_body_above_the_limit_is_refused(self, server: Server) -> None:
        response = server.http.post("/v1/events", content=b" " * (BODY_LIMIT_BYTES + 1))
        assert response.status_code == 413
        assert response.json()["error"]["details"][0]["limit"] == BODY_LIMIT_BYTES

    def test_an_endless_body_is_refused(self, server: Server) -> None:
        answer = b""
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(
                b"POST /v1/feed HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            try:
                for _ in range(200):
                    connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            except OSError:
                pass  # the server has closed its side, as it may
            answer = connection.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 413 "), answer

    def test_the_request_id_comes_back_once(self, server: Server) -> None:
        response = server.http.get("/healthz", headers={"X-Request-Id": "trace-7"})
        assert response.headers.get_list("x-request-id") == ["trace-7"]
        body = {"user_id": "u", "k": 1}
        response = server.http.post("/v1/feed", json=body)
        assert response.headers.get_list("x-request-id") == [response.json()["request_id"]]

    def test_the_access_log_is_written_without_users(self, server: Server) -> None:
        user = f"user-{uuid4()}"
        feed(server, user)
        text = "".join(path.read_text() for path in (server.folder / ACCESS_LOG).glob("*.jsonl"))
        assert user not in text
        assert "/v1/feed" in {json.loads(line)["route"] for line in text.splitlines()}

    def test_a_killed_state_server_is_an_inconvenience(self, server: Server) -> None:
        user = uuid4().hex
        server.http.post("/v1/events", json={"events": [like(user, "item-3")]})
        killed = server.state_process_id
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + RECOVERY_LIMIT_S
        seen = []
        while server.state_process_id == killed or feed(server, user).degraded:
            seen.append(feed(server, user).degraded)  # any other status than 200 fails in here
            assert time.monotonic() < deadline, seen
        assert feed(server, user).items[0].source == "interest"
