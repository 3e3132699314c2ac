import json
from typing import Any

import orjson
import pytest

from serving.api.schemas import FeedAnswer
from serving.live.mirror import VisibilityMirror, encode_rows
from serving.live.pages import VisibilityUnknownError
from serving.live.state import StateUnreachableError
from serving.records.status import EVERYONE, Scope, StatusRow
from tests.memory_state import MemoryState
from tests.serving.api.conftest import Served


def encoded(subject: str, scope: Scope = EVERYONE) -> dict[str, str]:
    return {subject: encode_rows([StatusRow(subject, scope, "hidden", True, 1, 1)])}


def feed(served: Served, **body: Any) -> FeedAnswer:
    answer = served.client.post("/v1/feed", json={"user_id": "u", "k": 5} | body)
    assert answer.status_code == 200, answer.text
    return FeedAnswer.model_validate(answer.json())


def ids(answer: FeedAnswer) -> list[str]:
    return [item.item_id for item in answer.items]


def state_of(served: Served) -> MemoryState:
    state = served.services.state
    assert isinstance(state, MemoryState)
    return state


def failing(served: Served, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(state_of(served), "commit", fail)


def test_what_the_mirror_hides_is_no_candidate(served: Served) -> None:
    full = feed(served, k=100, user_id="other")
    creator = next(item.creator_id for item in full.items if item.creator_id)
    hidden = {item.item_id for item in full.items if item.creator_id == creator}
    first = next(item for item in ids(full) if item not in hidden)
    served.services.mirror.apply(0, encoded(f"item:{first}") | encoded(f"creator:{creator}"))
    served.services.mirror.sequence = 1
    state_of(served).visibility.replace(1, {})
    answer = feed(served, k=100)
    assert len(answer.items) == 100
    assert not (hidden | {first}) & set(ids(answer))


def test_a_region_hides_only_there(served: Served) -> None:
    (top,) = ids(feed(served, k=1, user_id="other"))
    served.services.mirror.replace(0, encoded(f"item:{top}", Scope(region="CN")))
    served.services.mirror.sequence = 1
    state_of(served).visibility.replace(1, {})
    assert ids(feed(served, k=1, context={"region": "cn"})) != [top]
    assert ids(feed(served, k=1, context={"region": "US"})) == [top]


def test_the_recorded_region_decides_what_is_visible(served: Served) -> None:
    (top,) = ids(feed(served, k=1, user_id="other"))
    served.client.request("PUT", "/v1/users/recorded", json={"region": "CN"}).raise_for_status()
    served.services.mirror.replace(0, encoded(f"item:{top}", Scope(region="CN")))
    served.services.mirror.sequence = 1
    state_of(served).visibility.replace(1, {})
    assert ids(feed(served, k=1, user_id="recorded", context={"region": "US"})) != [top]
    assert ids(feed(served, k=1, user_id="stranger", context={"region": "US"})) == [top]


def test_what_was_taken_down_meanwhile_is_replaced(served: Served) -> None:
    before = feed(served, user_id="other", k=5)
    gone = ids(before)[1]
    state_of(served).visibility.replace(1, encoded(f"item:{gone}"))
    after = feed(served, k=5)
    assert [item.position for item in after.items] == [1, 2, 3, 4, 5]
    assert gone not in ids(after)
    assert ids(after)[:4] == [one for one in ids(before) if one != gone]


def test_a_page_is_logged_with_source_and_propensity(served: Served) -> None:
    body = {"user_id": "u", "k": 2, "context": {"region": "cn", "surface": "home"}}
    response = served.client.post("/v1/feed", json=body).json()
    ((draft, page),) = state_of(served).served
    assert orjson.loads(draft.header) == {
        "request_id": response["request_id"],
        "user_id": "u",
        "region": "CN",
        "surface": "home",
        "bundle": response["bundle"],
    }
    logged = [json.loads(draft.candidates[n].body) for n in page.kept]
    assert [one["item_id"] for one in logged] == [one["item_id"] for one in response["items"]]
    assert {(one["source"], one["propensity"]) for one in logged} == {("popular", 1.0)}


@pytest.mark.parametrize(
    "error", [StateUnreachableError("gone"), VisibilityUnknownError("emptied")]
)
def test_without_the_state_a_trusted_mirror_decides(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    before = ids(feed(served, user_id="other", k=3))
    served.services.mirror.replace(1, encoded(f"item:{before[0]}"))
    failing(served, monkeypatch, error)
    answer = feed(served, k=2)
    assert (len(answer.items), before[0] in ids(answer)) == (2, False)
    assert ("state_unreachable" in answer.degraded) == isinstance(error, StateUnreachableError)


def test_without_state_and_lease_nothing_is_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(served, monkeypatch, StateUnreachableError("gone"))
    served.services.mirror.good_read_s = 0.0
    answer = feed(served)
    assert answer.items == []
    assert {"state_unreachable", "visibility_unknown"} <= set(answer.degraded)
    ranked = served.client.post("/v1/rank", json={"user_id": "u", "candidates": ["item-1"]})
    assert (ranked.json()["items"], ranked.json()["degraded"][-1:]) == ([], ["visibility_unknown"])


def test_a_state_that_knows_less_than_the_mirror_is_not_believed(served: Served) -> None:
    top = ids(feed(served, user_id="other", k=2))
    served.services.mirror.replace(9, encoded(f"item:{top[0]}"))
    assert ids(feed(served, k=1)) == top[1:]
    served.services.mirror.good_read_s = 0.0
    assert feed(served, k=1).items == []


def test_hidden_candidates_are_not_ranked(served: Served) -> None:
    served.services.mirror.replace(1, encoded("item:item-1"))
    body = {"user_id": "u", "candidates": ["item-1", "item-2"], "k": 5}
    ranked = served.client.post("/v1/rank", json=body).json()
    assert [item["item_id"] for item in ranked["items"]] == ["item-2"]
    assert ranked["removed"] == [{"item_id": "item-1", "reason": "hidden"}]


def test_nothing_is_trusted_before_the_first_read() -> None:
    assert not VisibilityMirror().trusted(0.0)
