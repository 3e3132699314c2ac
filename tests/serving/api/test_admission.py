import asyncio
from typing import Any

import httpx
import pytest

from serving.api.admission import Admission
from serving.feed.admission import AdmissionLimits, Load
from tests.serving.api.conftest import Served

ASKED: dict[str, Any] = {"history": [{"item_id": "item-3"}], "k": 5}


def together(served: Served, count: int) -> list[httpx.Response]:
    """Answers to requests that arrive at the same moment."""

    async def body() -> list[httpx.Response]:
        asking = (served.client.http.post("/v1/feed", json=ASKED) for _ in range(count))
        return list(await asyncio.gather(*asking))

    return served.client.run(body())


def test_a_burst_climbs_down_the_ladder_and_then_is_refused(served: Served) -> None:
    served.services.admission = Admission(AdmissionLimits(8, 0.5, 0.75))
    answers = together(served, 12)
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(503)) == (8, 4)
    codes = [answer.json()["degraded"] for answer in answers if answer.status_code == 200]
    assert {tuple(code) for code in codes} == {(), ("fewer_candidates",), ("popular_only",)}
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["error"]["code"] == "overloaded"
    assert int(refused.headers["retry-after"]) >= 1
    assert served.services.admission.load.waiting == 0
    assert together(served, 1)[0].json()["degraded"] == []


def test_whoever_cannot_be_answered_in_time_is_refused_at_once(served: Served) -> None:
    served.services.admission.load = Load(0, 2.5)
    response = served.client.post("/v1/feed", json=ASKED, headers={"X-Timeout-Ms": "100"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert served.client.post("/v1/feed", json=ASKED).status_code == 200


@pytest.mark.parametrize("path", ["/v1/feed", "/v1/rank"])
def test_a_deadline_that_passes_between_stages_ends_the_work(
    served: Served, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.api.admission.budget_of", lambda _: 1e-6)
    body = ASKED | ({"candidates": ["item-1"]} if path == "/v1/rank" else {})
    response = served.client.post(path, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "deadline_passed")
    assert response.headers["retry-after"] == "1"
    assert served.services.admission.load.waiting == 0


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "soon", "600001", "9" * 5_000, "٣"])
def test_a_timeout_that_is_none_is_refused(served: Served, text: str) -> None:
    headers = {"X-Timeout-Ms": text.encode()}
    response = served.client.post("/v1/feed", json=ASKED, headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["details"][0]["field"]) == (422, "x-timeout-ms")


def test_a_failed_request_gives_its_place_back(served: Served) -> None:
    served.client.post("/v1/feed", json=ASKED, headers={"X-Timeout-Ms": "x"})
    served.client.post("/v1/feed", json=ASKED | {"k": 0})
    assert served.services.admission.load.waiting == 0
