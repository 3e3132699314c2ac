import asyncio
import json
from pathlib import Path

import pytest
from starlette.types import Message

from serving.api.request_log import JsonLines
from tests.serving.api.conftest import Served


def test_a_line_tells_how_a_request_went_but_not_whose_it_was(served: Served) -> None:
    served.client.post("/v1/feed", json={"user_id": "user-of-old", "k": 2})
    (line,) = served.log_lines()
    assert line["route"] == "/v1/feed"
    assert (line["method"], line["status"], line["items"]) == ("POST", 200, 2)
    assert line["degraded"] == ["unknown_user"]
    stages = {"hydrate", "sources", "filters", "exploration", "scorers", "selectors", "commit"}
    assert set(line["stages"]) == stages
    assert line["took_ms"] > 0
    assert "user-of-old" not in served.log.read_text()


def test_paths_that_do_not_exist_are_not_written_down(served: Served) -> None:
    served.client.get("/v1/people/user-of-old")
    assert [line["route"] for line in served.log_lines()] == ["none"]
    assert "user-of-old" not in served.log.read_text()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_every_other_route_is_named(served: Served, path: str) -> None:
    assert served.client.get(path).status_code == 200
    assert [line["route"] for line in served.log_lines()] == [path]


def test_the_callers_request_id_is_kept(served: Served) -> None:
    response = served.client.post(
        "/v1/feed", json={"user_id": "u"}, headers={"X-Request-Id": "trace:7/a"}
    )
    assert response.headers["x-request-id"] == "trace:7/a"
    assert response.json()["request_id"] == "trace:7/a"
    assert served.log_lines()[0]["request_id"] == "trace:7/a"


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, 'quote"'])
def test_other_request_ids_are_replaced(served: Served, given: str) -> None:
    response = served.client.get("/healthz", headers={"X-Request-Id": given})
    assert len(response.headers["x-request-id"]) == 32


def test_requests_without_an_id_get_different_ones(served: Served) -> None:
    ids = {served.client.get("/healthz").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


def test_refusals_are_logged_too(served: Served) -> None:
    served.client.post("/v1/feed", content=b"{")
    served.client.post("/v1/feed", content=b"x" * (3 << 20))
    assert [line["status"] for line in served.log_lines()] == [400, 413]


def test_a_full_log_is_set_aside_and_one_is_kept(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "deep" / "log.jsonl", limit_bytes=100)
    for n in range(25):
        lines.write({"n": n, "text": "x" * 20})
    lines.close()
    kept = (tmp_path / "deep" / "log.jsonl.1").read_text().splitlines()
    now = (tmp_path / "deep" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["n"] for line in [*kept, *now]] == [21, 22, 23, 24]
    assert len(list((tmp_path / "deep").iterdir())) == 2


def test_a_log_is_continued_after_a_restart(tmp_path: Path) -> None:
    for n in range(2):
        lines = JsonLines(tmp_path / "log.jsonl", limit_bytes=1_000)
        lines.write({"n": n})
        lines.close()
    assert (tmp_path / "log.jsonl").read_text() == '{"n":0}\n{"n":1}\n'


def test_a_caller_who_leaves_is_logged_and_is_no_failure(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/feed", "headers": [], "root_path": ""}
    asyncio.run(served.app(scope, gone, send))
    assert [line["status"] for line in served.log_lines()] == [499]
    assert caplog.text == ""


def test_the_log_is_closed_with_the_app_and_a_lost_log_loses_no_answer(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async def live_and_die() -> None:
        async with served.app.router.lifespan_context(served.app):
            pass

    asyncio.run(live_and_die())
    assert served.client.get("/healthz").status_code == 200
    assert "missing in the access log: [Errno 9] Bad file descriptor" in caplog.text


def test_a_full_disk_is_an_error_of_the_log() -> None:
    lines = JsonLines(Path("/dev/full"), limit_bytes=1_000)
    with pytest.raises(OSError, match="No space left"):
        lines.write({})
    lines.close()
