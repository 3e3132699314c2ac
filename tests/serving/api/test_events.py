import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from serving.api.errors import ErrorAnswer, ErrorBody
from serving.live.event_stream import Appended, LoggedEvent
from serving.live.pages import Impression
from serving.live.state import StateFullError
from tests.memory_state import MemoryState
from tests.serving.api.conftest import Served

NOW = 1_800_000_000_000
DAY_MS = 86_400_000


def play(n: int, **fields: Any) -> dict[str, Any]:
    event = {"event_id": f"e-{n}", "user_id": "u", "item_id": f"item-{n}", "type": "play"}
    return event | {"time": NOW} | fields


@pytest.fixture(autouse=True)
def _now(served: Served) -> None:
    served.services.clock_ms = lambda: NOW


def send(served: Served, *events: dict[str, Any]) -> httpx.Response:
    return served.client.post("/v1/events", json={"events": events})


def send_lines(served: Served, text: str) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson; charset=utf-8"}
    return served.client.post("/v1/events", content=text.encode(), headers=headers)


def counts(answer: httpx.Response) -> tuple[int, int, int]:
    return answer.status_code, answer.json()["accepted"], answer.json()["duplicates"]


def error(answer: httpx.Response) -> ErrorBody:
    return ErrorAnswer.model_validate(answer.json()).error


def kept(served: Served) -> int:
    page = served.client.post("/v1/rank", json={"user_id": "u", "candidates": ["item-1"], "k": 1})
    return 0 if page.json()["degraded"] else 1


def test_a_batch_sent_again_is_known(served: Served) -> None:
    assert counts(send(served, play(1), play(2))) == (202, 2, 0)
    assert counts(send(served, play(2), play(3))) == (202, 1, 1)
    assert counts(send(served, play(1), play(2), play(3))) == (202, 0, 3)


def test_the_same_moment_in_other_words_is_the_same_event(served: Served) -> None:
    send(served, play(1, time="2027-01-15T08:00:00Z"))
    assert counts(send(served, play(1, time=NOW))) == (202, 0, 1)


def test_a_known_id_with_another_body_refuses_the_batch(served: Served) -> None:
    send(served, play(1), play(2))
    refused = send(served, play(7), play(1, type="like"), play(2), play(8))
    assert (refused.status_code, error(refused).code) == (409, "conflicting_event")
    assert [(one.field, one.value) for one in error(refused).details] == [
        ("events.1.event_id", "e-1")
    ]
    assert counts(send(served, play(7))) == (202, 1, 0)


def test_lines_are_taken_like_a_batch(served: Served) -> None:
    lines = "\n".join(json.dumps(play(n)) for n in (1, 2)) + "\r\n\n"
    assert counts(send_lines(served, lines)) == (202, 2, 0)
    assert counts(send(served, play(1))) == (202, 0, 1)
    assert kept(served)


def test_a_line_that_is_no_json_is_named(served: Served) -> None:
    lines = [json.dumps(play(n)) for n in range(500)]
    lines[399] = lines[399][:-1]
    refused = send_lines(served, "\n".join(lines))
    assert (refused.status_code, error(refused).code) == (400, "invalid_json")
    assert [one.field for one in error(refused).details] == ["line 400"]
    assert not kept(served)


def test_every_bad_field_of_a_line_is_named(served: Served) -> None:
    lines = [json.dumps(play(1)), "", json.dumps(play(2, watch_ms=-1, colour="red")), "[]"]
    refused = send_lines(served, "\n".join(lines))
    assert refused.status_code == 422
    assert [(one.field, one.limit) for one in error(refused).details] == [
        ("line 3.watch_ms", 0),
        ("line 3.colour", None),
        ("line 4", None),
    ]
    assert not kept(served)


def test_a_fault_of_the_batch_names_its_lines(served: Served) -> None:
    late = play(2, time=NOW + 10**9)
    refused = send_lines(served, "\n\n".join(json.dumps(one) for one in (play(1), late, play(1))))
    told = error(refused)
    assert [one.field for one in told.details] == ["line 3.time", "line 5.event_id"]
    assert told.details[1].message == "repeats the event_id of line 1"
    assert told.message.startswith("line 3.time: ")
    assert not kept(served)


def test_a_known_id_with_another_body_names_its_line(served: Served) -> None:
    assert send_lines(served, json.dumps(play(1))).status_code == 202
    refused = send_lines(served, "\n".join(["", json.dumps(play(1, type="like"))]))
    assert [one.field for one in error(refused).details] == ["line 2.event_id"]


def test_two_events_on_one_line_are_no_event(served: Served) -> None:
    refused = send_lines(served, json.dumps(play(1)) + "," + json.dumps(play(2)))
    assert [one.field for one in error(refused).details] == ["line 1"]


def test_no_lines_are_no_batch(served: Served) -> None:
    assert error(send_lines(served, "\n\n")).details[0].field == "events"


@pytest.mark.parametrize(
    ("time_ms", "message"),
    [
        (NOW + 300_001, "lies in the future"),
        (NOW - 3_650 * DAY_MS - 1, "lies too far in the past"),
    ],
)
def test_clocks_that_are_far_off_are_refused(served: Served, time_ms: int, message: str) -> None:
    refused = send(served, play(1), play(2, time=time_ms))
    assert refused.status_code == 422
    detail = error(refused).details[0]
    assert (detail.field, detail.message) == ("events.1.time", message)
    assert detail.limit is not None
    assert not kept(served)


def test_clocks_within_the_limits_are_taken(served: Served) -> None:
    events = [play(1, time=NOW + 300_000), play(2, time=NOW - 3_650 * DAY_MS)]
    assert counts(send(served, *events)) == (202, 2, 0)


def test_undoing_an_event_is_an_event(served: Served) -> None:
    undone = [play(n, type=name) for n, name in enumerate(("unlike", "unfollow", "refund", "skip"))]
    assert counts(send(served, *undone)) == (202, 4, 0)


def test_a_full_disk_is_told_apart_from_an_outage(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StateFullError("no room")

    monkeypatch.setattr(served.services.state, "append", full)
    refused = send(served, play(1))
    assert (refused.status_code, error(refused).code) == (507, "storage_full")


def test_what_someone_does_counts_where_they_asked_for_their_newest_page(served: Served) -> None:
    state, counters = MemoryState(), list[str]()
    append = state.append

    async def noted(
        events: Sequence[LoggedEvent], impressions: Sequence[Impression], now_ms: int
    ) -> Appended:
        counters.extend(event.counter for event in events)
        return await append(events, impressions, now_ms)

    state.append = noted  # type: ignore[method-assign]
    served.services.state = state
    body = {"user_id": "u", "k": 1, "context": {"region": "cn"}}
    assert served.client.post("/v1/feed", json=body).status_code == 200
    assert send(served, play(1), play(2, user_id="v")).status_code == 202
    assert counters == ["play:CN:item-1", "play:*:item-2"]
