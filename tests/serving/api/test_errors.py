import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from serving.api.body_limit import BodyLimit
from serving.api.errors import ApiError, ErrorAnswer, shown
from serving.live.state import UserState
from tests.serving.api.bad_requests import BAD_REQUESTS, EVENT, BadRequest
from tests.serving.api.conftest import Served

LIMIT_BYTES = 2 << 20


def refusal(response: Any) -> ErrorAnswer:
    assert response.headers["content-type"] == "application/json"
    assert "Traceback" not in response.text
    return ErrorAnswer.model_validate(response.json())


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda bad: bad.name)
def test_bad_requests_are_refused_by_name(served: Served, bad: BadRequest) -> None:
    response = served.client.post(bad.path, content=bad.body)
    error = refusal(response).error
    assert (response.status_code, error.code) == (bad.status, bad.code)
    first = error.details[0]
    assert first.field == bad.field
    if bad.value is not None:
        assert first.value == bad.value
    if bad.limit is not None:
        assert first.limit == bad.limit
    assert first.message


@pytest.mark.parametrize("path", ["/v1/feed", "/v1/events"])
def test_a_compressed_body_is_refused_by_name(served: Served, path: str) -> None:
    body = gzip.compress(b'{"user_id": "u", "k": 3}')
    response = served.client.post(path, content=body, headers={"Content-Encoding": "gzip"})
    error = refusal(response).error
    assert (response.status_code, error.code) == (415, "unsupported_encoding")
    assert (error.details[0].field, error.details[0].value) == ("content-encoding", "gzip")
    plain = {"Content-Encoding": "identity"}
    assert served.client.post("/v1/feed", json={}, headers=plain).status_code != 415


def test_the_refusal_of_the_far_future_names_the_limit(served: Served) -> None:
    late = EVENT | {"time": "2026-01-01T00:05:01Z"}
    served.services.clock_ms = lambda: 1_767_225_600_000
    response = served.client.post("/v1/events", json={"events": [late]})
    assert refusal(response).error.details[0].limit == "2026-01-01 00:05:00+00:00"
    on_time = EVENT | {"time": "2026-01-01T00:05:00Z"}
    assert served.client.post("/v1/events", json={"events": [on_time]}).status_code == 202


def test_every_bad_row_of_a_batch_is_listed_and_nothing_is_kept(served: Served) -> None:
    rows: list[dict[str, Any]] = [EVENT | {"event_id": f"e-{n}"} for n in range(500)]
    rows[3]["type"] = "liked"
    rows[77] |= {"watch_ms": -5, "colour": "red"}
    del rows[499]["item_id"]
    response = served.client.post("/v1/events", json={"events": rows})
    fields = [detail.field for detail in refusal(response).error.details]
    assert fields == [
        "events.3.type",
        "events.77.watch_ms",
        "events.77.colour",
        "events.499.item_id",
    ]


def test_a_refused_batch_keeps_nothing(served: Served) -> None:
    rows = [EVENT, EVENT | {"event_id": "e-2", "type": "liked"}]
    assert served.client.post("/v1/events", json={"events": rows}).status_code == 422
    rows = [EVENT, EVENT]
    assert served.client.post("/v1/events", json={"events": rows}).status_code == 422
    answer = served.client.post("/v1/feed", json={"user_id": "u"}).json()
    assert answer["degraded"] == ["unknown_user"]


def test_very_many_faults_are_counted_but_not_all_listed(served: Served) -> None:
    body = {"user_id": "u"} | {f"field-{n}": 1 for n in range(6_000)}
    error = refusal(served.client.post("/v1/feed", json=body)).error
    assert len(error.details) == 5_000
    assert "6000 faults, 5000 listed" in error.message


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/", 404, "not_found"),
        ("POST", "/v1/feed/", 404, "not_found"),
        ("GET", "/v1/feed", 405, "method_not_allowed"),
        ("PUT", "/v1/events", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_unknown_paths_and_methods(
    served: Served, method: str, path: str, status: int, code: str
) -> None:
    response = served.client.request(method, path)
    assert (response.status_code, refusal(response).error.code) == (status, code)
    if status == 405:
        assert response.headers["allow"]


def test_an_announced_body_above_the_limit_is_refused(served: Served) -> None:
    response = served.client.post("/v1/events", content=b"x" * (LIMIT_BYTES + 1))
    error = refusal(response).error
    assert (response.status_code, error.code) == (413, "body_too_large")
    assert (error.details[0].field, error.details[0].limit) == ("body", LIMIT_BYTES)
    assert error.details[0].value == LIMIT_BYTES + 1


def test_who_announced_a_body_writes_it_to_its_end_before_the_answer() -> None:
    told: list[str] = []

    async def receive() -> Message:
        told.append("read")
        return {"type": "http.request", "body": b"x" * 60, "more_body": len(told) < 3}

    async def send(message: Message) -> None:
        told.append(message["type"])

    async def unreached(*_: Any) -> None:
        raise AssertionError("the body was let in")

    scope = {"type": "http", "path": "/", "headers": [(b"content-length", b"180")]}
    asyncio.run(BodyLimit(unreached, limit_bytes=100)(scope, receive, send))
    assert told == ["read"] * 3 + ["http.response.start", "http.response.body"]


def test_a_chunked_body_above_the_limit_is_refused_before_its_end(served: Served) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield b" " * (1 << 16)

    response = served.client.post("/v1/feed", content=chunks())
    assert (response.status_code, refusal(response).error.code) == (413, "body_too_large")
    assert sent <= LIMIT_BYTES // (1 << 16) + 1


def test_a_body_at_the_limit_is_read(served: Served) -> None:
    body = json.dumps({"user_id": "u", "k": 1}).encode().ljust(LIMIT_BYTES)
    assert served.client.post("/v1/feed", content=body).status_code == 200


def test_what_breaks_inside_is_logged_but_not_told(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenState:
        async def read(self, user_id: str, now_ms: int) -> UserState:
            raise RuntimeError("a secret of the house")

    served.services.state = BrokenState()  # type: ignore[assignment]
    response = served.client.post("/v1/feed", json={"user_id": "u"})
    error = refusal(response).error
    assert (response.status_code, error.code) == (500, "internal")
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in error.message
    assert "a secret of the house" in caplog.text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "nan"),
        (2**60, "an integer of 61 bits"),
        ("x" * 200, "x" * 100 + "…"),
        ({"a": 1}, "1 entries"),
        (None, None),
        (True, True),
        (1.5, 1.5),
    ],
)
def test_values_are_shown_short_and_as_json(value: Any, expected: Any) -> None:
    assert shown(value) == expected


def test_an_api_error_has_a_message_of_its_own() -> None:
    error = ApiError(503, "busy", "try again")
    assert (str(error), error.body.code, error.body.details) == ("try again", "busy", [])
