"""Pages follow each other without repeats or gaps; related items."""

from typing import Any

from serving.live.mirror import encode_rows
from serving.records.status import EVERYONE, StatusRow
from tests.serving.api.conftest import Served
from tests.serving.api.test_feed import feed, item_ids, like
from tests.serving.api.test_live_items import store, twin


def pages(served: Served, count: int, **body: Any) -> list[list[str]]:
    found, cursor = [], None
    for _ in range(count):
        answer = feed(served, cursor=cursor, **body)
        found.append(item_ids(answer))
        cursor = answer.cursor
    return found


def test_pages_repeat_nothing_and_reach_everything(served: Served) -> None:
    found = [one for page in pages(served, 5, history=[], k=40) for one in page]
    assert len(found) == len(set(found)) == 200
    last = feed(served, history=[], k=40, cursor=feed(served, history=[], k=40).cursor)
    assert last.cursor is not None


def test_the_last_page_has_no_cursor(served: Served) -> None:
    everything = [f"item-{n}" for n in range(195)]
    answer = feed(served, history=[], k=10, exclude=everything)
    assert (len(answer.items), answer.cursor) == (5, None)


def test_what_comes_meanwhile_is_not_skipped_and_what_goes_never_appears(served: Served) -> None:
    body: dict[str, Any] = {"history": [{"item_id": "item-7", "type": "like"}], "k": 10}
    first = feed(served, **body)
    expected = item_ids(feed(served, cursor=first.cursor, **body))
    hidden = expected[0]
    row = StatusRow(f"item:{hidden}", EVERYONE, "hidden", True, 0, 1)
    served.services.mirror.replace(1, {f"item:{hidden}": encode_rows([row])})
    store(served, twin(served, "item-7", "new"))
    shown, cursor = set(item_ids(first)), first.cursor
    later: list[str] = []
    while cursor is not None:
        answer = feed(served, cursor=cursor, **body)
        later += item_ids(answer)
        cursor = answer.cursor
    assert len(later) == len(set(later))
    assert not shown & set(later)
    assert hidden not in later
    assert {"new", *expected[1:]} <= set(later)
    assert len(shown) + len(later) == 199  # of 201, without what is hidden and what was liked


def test_creators_are_spread_over_the_edge_of_pages(served: Served) -> None:
    items = [one for page in pages(served, 4, history=[], k=5) for one in page]
    shelf = served.services.bundle.engine.shelf
    rows = served.services.bundle.engine.model.vocabulary.rows(items)
    codes = shelf.creator_codes[rows].tolist()
    assert max(codes[n : n + 8].count(one) for n in range(12) for one in codes[n : n + 8]) <= 2


def test_a_cursor_is_of_its_user_and_surface(served: Served) -> None:
    cursor = feed(served, user_id="u", k=3).cursor
    assert cursor is not None
    for body in ({"user_id": "v"}, {"user_id": "u", "context": {"surface": "home"}}):
        refused = served.client.post("/v1/feed", json={"k": 3, "cursor": cursor} | body)
        assert refused.status_code == 422
        assert refused.json()["error"]["details"][0]["field"] == "cursor"


def related(served: Served, status: int = 200, **body: Any) -> list[str]:
    answer = served.client.post("/v1/related", json=body)
    assert answer.status_code == status, answer.text
    return [item["item_id"] for item in answer.json().get("items", [])]


def test_related_items_are_those_of_someone_who_only_liked_this(served: Served) -> None:
    store(served, twin(served, "item-7", "new"))
    found = related(served, item_id="item-7", k=20)
    assert "new" in found
    assert "item-7" not in found
    assert related(served, 404, item_id="nowhere") == []


def test_related_leaves_out_what_the_user_has_seen(served: Served) -> None:
    first = related(served, item_id="item-7", k=3)
    shown = like("u", first[0], "e-1") | {"type": "impression"}
    served.client.post("/v1/events", json={"events": [shown]})
    assert first[0] not in related(served, item_id="item-7", k=50, user_id="u")
