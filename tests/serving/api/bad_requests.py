"""Requests that must be refused, with what the refusal must name; asked on every host."""

import json
from dataclasses import dataclass
from typing import Any

EVENT = {
    "event_id": "e-1",
    "user_id": "u",
    "item_id": "item-1",
    "type": "like",
    "time": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class BadRequest:
    """One request and its refusal; `field`, `value` and `limit` are of the first detail."""

    name: str
    path: str
    body: bytes
    status: int = 422
    code: str = "invalid_request"
    field: str | None = None
    value: Any = None
    limit: Any = None


def bad_feed(name: str, field: str, value: Any, limit: Any = None, /, **body: Any) -> BadRequest:
    content = json.dumps({"user_id": "u", **body}).encode()
    return BadRequest(name, "/v1/feed", content, field=field, value=value, limit=limit)


def bad_event(name: str, field: str, value: Any, limit: Any = None, /, **event: Any) -> BadRequest:
    content = json.dumps({"events": [EVENT | event]}).encode()
    where = f"events.0.{field}"
    return BadRequest(name, "/v1/events", content, field=where, value=value, limit=limit)


def without(field: str) -> bytes:
    return json.dumps({"events": [{k: v for k, v in EVENT.items() if k != field}]}).encode()


BAD_REQUESTS = [
    bad_feed("k of zero", "k", 0, 1, k=0),
    bad_feed("k above the limit", "k", 101, 100, k=101),
    bad_feed("k as text", "k", "5", k="5"),
    bad_feed("k as a fraction", "k", 5.5, k=5.5),
    bad_feed("k as true", "k", True, k=True),
    bad_feed("k of null", "k", None, k=None),
    bad_feed("unknown field", "explan", True, explan=True),
    bad_feed("unknown field inside", "context.regoin", "CN", context={"regoin": "CN"}),
    bad_feed("context of another type", "context", "CN", context="CN"),
    bad_feed("unreadable local time", "context.local_time.datetime", "soon",
             context={"local_time": "soon"}),
    bad_feed("unknown region", "context.region", "UK", None, context={"region": "UK"}),
    bad_feed("user id of another type", "user_id", 7, user_id=7),
    bad_feed("empty user id", "user_id", "", 1, user_id=""),
    bad_feed("user id too long", "user_id", "x" * 100 + "…", 128, user_id="x" * 129),
    bad_feed("control character", "user_id", "a\nb", r"^[^\x00-\x1f\x7f]+$", user_id="a\nb"),
    bad_feed("nobody", "body", "1 entries", user_id=None),
    bad_feed("foreign cursor", "cursor", "abc", cursor="abc"),
    bad_feed("too many excluded", "exclude", "1001 entries", 1000, exclude=["a"] * 1001),
    bad_feed("excluded of another type", "exclude.1", 2, exclude=["a", 2]),
    bad_feed("history too long", "history", "201 entries", 200, history=[{"item_id": "a"}] * 201),
    bad_feed("unknown event type", "history.0.type", "liked",
             history=[{"item_id": "a", "type": "liked"}]),
    BadRequest("k not a number", "/v1/feed", b'{"user_id":"u","k":NaN}', field="k", value="nan"),
    BadRequest("k without end", "/v1/feed", b'{"user_id":"u","k":Infinity}', field="k",
               value="inf"),
    BadRequest("k beyond numbers", "/v1/feed", b'{"user_id":"u","k":1%s}' % (b"0" * 400),
               field="k"),
    BadRequest("k of many digits", "/v1/feed", b'{"user_id":"u","k":1%s}' % (b"0" * 10_000),
               400, "invalid_json", "body", "10021 bytes"),
    BadRequest("a list", "/v1/feed", b"[1]", field="body", value="1 entries"),
    BadRequest("a word", "/v1/feed", b'"feed"', field="body", value="feed"),
    BadRequest("no body", "/v1/feed", b"", 400, "invalid_json", "body", "0 bytes"),
    BadRequest("half a body", "/v1/feed", b'{"user_id":', 400, "invalid_json", "body", "11 bytes"),
    BadRequest("not UTF-8", "/v1/feed", b'{"user_id":"\xff\xfe"}', 400, "invalid_utf8", "body",
               "byte 12"),
    BadRequest("half a surrogate", "/v1/feed", b'{"user_id":"\\ud800"}', 400, "invalid_json",
               "body", "20 bytes"),
    BadRequest("nested too deep", "/v1/feed", b"[" * 5_000, 400, "invalid_json", "body",
               "5000 bytes"),
    BadRequest("no candidates", "/v1/rank", b'{"user_id":"u","candidates":[]}',
               field="candidates", value="0 entries", limit=1),
    BadRequest("candidates missing", "/v1/rank", b'{"user_id":"u"}', field="candidates",
               value="1 entries"),
    BadRequest("too many candidates", "/v1/rank",
               json.dumps({"user_id": "u", "candidates": ["a"] * 1001}).encode(),
               field="candidates", value="1001 entries", limit=1000),
    BadRequest("no events", "/v1/events", b'{"events":[]}', field="events", value="0 entries",
               limit=1),
    BadRequest("too many events", "/v1/events", json.dumps({"events": [EVENT] * 1001}).encode(),
               field="events", value="1001 entries", limit=1000),
    BadRequest("event id missing", "/v1/events", without("event_id"), field="events.0.event_id",
               value="4 entries"),
    BadRequest("repeated event id", "/v1/events", json.dumps({"events": [EVENT] * 2}).encode(),
               field="events.1.event_id", value="e-1"),
    BadRequest("watched not a number", "/v1/events",
               json.dumps({"events": [EVENT | {"watch_ms": float("nan")}]}).encode(),
               field="events.0.watch_ms", value="nan"),
    bad_event("negative watch", "watch_ms", -1, 0, watch_ms=-1),
    bad_event("unknown type", "type", "liked", type="liked"),
    bad_event("padding is no event", "type", "padding", type="padding"),
    bad_event("unreadable time", "time", "yesterday", time="yesterday"),
    bad_event("time without a zone", "time", "2026-01-01T00:00:00", time="2026-01-01T00:00:00"),
    bad_event("far future", "time", "3026-01-01 00:00:00+00:00", time="3026-01-01T00:00:00Z"),
    bad_event("value without end", "value", "inf", value=float("inf")),
    bad_event("unknown field in an event", "colour", "red", colour="red"),
]  # fmt: skip
