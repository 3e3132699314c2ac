from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from embeddings.live_model import LiveModel
from serving.api.schemas import FeedAnswer, PageAnswer, RankAnswer
from serving.feed.rules import FeedRules
from serving.feed.timetable import EVERYWHERE, Rulebook, Timetable
from serving.live.event_stream import Appended, LoggedEvent
from serving.live.pages import CommittedPage, Impression, PageDraft
from serving.live.state import StateUnreachableError, UserState
from tests.serving.api.conftest import Served


def like(user_id: str, item_id: str, event_id: str) -> dict[str, Any]:
    time = datetime.now(UTC).isoformat()
    return {
        "event_id": event_id,
        "user_id": user_id,
        "item_id": item_id,
        "type": "like",
        "time": time,
    }


def feed(served: Served, **body: Any) -> FeedAnswer:
    answer = served.client.post("/v1/feed", json=body)
    assert answer.status_code == 200, answer.text
    return FeedAnswer.model_validate(answer.json())


def item_ids(answer: PageAnswer) -> list[str]:
    return [item.item_id for item in answer.items]


class UnreachableState:
    """A state server that is down."""

    async def read(self, user_id: str, now_ms: int) -> UserState:
        raise StateUnreachableError(f"{user_id} at {now_ms}")

    async def append(
        self, events: Sequence[LoggedEvent], impressions: Sequence[Impression], now_ms: int
    ) -> Appended:
        raise StateUnreachableError(f"{len(events)}, {len(impressions)} at {now_ms}")

    async def commit(self, draft: PageDraft, now_ms: int) -> CommittedPage:
        raise StateUnreachableError(f"{draft.request_id} at {now_ms}")

    async def regions(self, user_ids: Sequence[str]) -> list[str]:
        raise StateUnreachableError(f"of {len(user_ids)}")

    async def reachable(self) -> bool:
        return False

    async def close(self) -> None:
        pass


def test_an_unknown_user_gets_the_popular_feed_and_is_told_why(served: Served) -> None:
    answer = feed(served, user_id="nobody", k=7)
    assert (len(answer.items), answer.degraded) == (7, ["unknown_user"])
    assert {item.source for item in answer.items} == {"popular"}
    assert [item.position for item in answer.items] == [1, 2, 3, 4, 5, 6, 7]
    assert answer.bundle == served.services.bundle.engine.model.version
    assert answer.took_ms > 0


def test_events_change_the_next_feed(served: Served) -> None:
    before = feed(served, user_id="u", k=10)
    events = [like("u", "item-3", "e1"), like("u", "item-8", "e2")]
    accepted = served.client.post("/v1/events", json={"events": events})
    assert (accepted.status_code, accepted.json()["accepted"]) == (202, 2)
    after = feed(served, user_id="u", k=10)
    assert after.degraded == []
    assert {item.source for item in after.items} == {"interest"}
    assert item_ids(after) != item_ids(before)
    assert not {"item-3", "item-8"} & set(item_ids(after))
    assert feed(served, user_id="someone else", k=10).degraded == ["unknown_user"]


def test_a_later_event_changes_the_feed_again(served: Served) -> None:
    served.client.post("/v1/events", json={"events": [like("u", "item-3", "e1")]})
    first = feed(served, user_id="u", k=10)
    served.client.post("/v1/events", json={"events": [like("u", "item-50", "e2")]})
    assert item_ids(feed(served, user_id="u", k=10)) != item_ids(first)


def test_impressions_alone_hide_their_items_and_teach_nothing(served: Served) -> None:
    top = item_ids(feed(served, user_id="u", k=3))
    shown = [like("u", item, f"e-{item}") | {"type": "impression"} for item in top[:2]]
    served.client.post("/v1/events", json={"events": shown})
    after = feed(served, user_id="u", k=3)
    assert after.degraded == ["unknown_user"]
    assert not set(item_ids(after)) & set(top)
    later = served.services.clock_ms() + 31 * 60_000
    served.services.clock_ms = lambda: later  # what was served only may come again
    again = item_ids(feed(served, user_id="u", k=20))
    assert top[2] in again
    assert not set(again) & set(top[:2])


def test_an_anonymous_history_personalises_like_reported_behaviour(served: Served) -> None:
    now = 1_800_000_000_000
    served.services.clock_ms = lambda: now
    reported = like("u", "item-3", "e1") | {"time": now}
    assert served.client.post("/v1/events", json={"events": [reported]}).status_code == 202
    history = [{"item_id": "item-3", "type": "like"}]
    assert item_ids(feed(served, history=history, k=20)) == item_ids(
        feed(served, user_id="u", k=20)
    )


def test_a_history_is_joined_with_what_is_known_of_the_user(served: Served) -> None:
    served.client.post("/v1/events", json={"events": [like("u", "item-3", "e1")]})
    history = [{"item_id": "item-9", "type": "like"}, {"item_id": "item-5", "type": "impression"}]
    answer = feed(served, user_id="u", history=history, k=100)
    assert not {"item-3", "item-9", "item-5"} & set(item_ids(answer))


def test_a_new_anonymous_user_and_unknown_items_are_told_apart(served: Served) -> None:
    assert feed(served, history=[], k=1).degraded == ["unknown_user"]
    assert feed(served, history=[{"item_id": "gone"}], k=1).degraded == ["unknown_items"]


def test_excluded_items_are_left_out(served: Served) -> None:
    first = item_ids(feed(served, user_id="u", k=5))
    rest = item_ids(feed(served, user_id="u", k=5, exclude=first))
    assert not set(first) & set(rest)


def test_a_page_ends_where_the_catalogue_ends(served: Served) -> None:
    everything = [f"item-{n}" for n in range(195)]
    assert len(feed(served, user_id="u", k=100, exclude=everything).items) == 5


def test_reasons_come_only_when_asked_for(served: Served) -> None:
    assert all(item.reasons is None for item in feed(served, user_id="u", k=3).items)
    served.client.post("/v1/events", json={"events": [like("u", "item-3", "e1")]})
    explained = feed(served, user_id="u", k=3, explain=True)
    assert [why.value for item in explained.items for why in item.reasons or ()][:1] == ["item-3"]


def test_every_part_of_the_context_is_taken(served: Served) -> None:
    context = {
        "region": "CN",
        "local_time": "2026-11-22T21:30:00+08:00",
        "surface": "home",
        "session_id": "s-1",
    }
    for given in (context, {"local_time": "21:30"}):
        assert len(feed(served, user_id="u", k=1, context=given).items) == 1


def test_a_surface_has_its_own_rules(served: Served) -> None:
    strict = FeedRules(500, 100, creator_window=100, creator_limit=1)
    surfaces = served.services.rulebook.surfaces
    always = Timetable((), ({EVERYWHERE: strict},))
    served.services.rulebook = Rulebook("t", {**surfaces, "home": always}, "default")
    page = feed(served, user_id="u", k=30, context={"surface": "home"})
    creators = [item.creator_id for item in page.items]
    assert len(creators) == len(set(creators))
    plain = [item.creator_id for item in feed(served, user_id="u", k=30).items]
    assert len(plain) > len(set(plain))


def test_ranking_keeps_to_the_candidates(served: Served) -> None:
    served.client.post("/v1/events", json={"events": [like("u", "item-3", "e1")]})
    candidates = ["item-3", "item-4", "item-5", "nowhere", "item-4"]
    answer = served.client.post("/v1/rank", json={"user_id": "u", "candidates": candidates, "k": 9})
    ranked = RankAnswer.model_validate(answer.json())
    assert sorted(item_ids(ranked)) == ["item-4", "item-5"]
    assert {(one.item_id, one.reason) for one in ranked.removed} == {
        ("item-3", "seen"),
        ("nowhere", "unknown"),
        ("item-4", "repeated"),
    }


def test_ranking_takes_a_thousand_candidates(served: Served) -> None:
    candidates = [f"item-{n}" for n in range(1_000)]
    body = {"history": [{"item_id": "item-3"}], "candidates": candidates, "k": 1_000}
    ranked = RankAnswer.model_validate(served.client.post("/v1/rank", json=body).json())
    assert (len(ranked.items), len(ranked.removed)) == (199, 801)


def test_without_state_the_feed_is_popular_and_events_are_refused(served: Served) -> None:
    served.services.state = UnreachableState()
    answer = feed(served, user_id="u", k=3)
    assert (len(answer.items), answer.degraded) == (3, ["state_unreachable"])
    rank = served.client.post("/v1/rank", json={"user_id": "u", "candidates": ["item-1"], "k": 1})
    assert rank.json()["degraded"] == ["state_unreachable"]
    refused = served.client.post("/v1/events", json={"events": [like("u", "item-3", "e1")]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "state_unreachable")


def test_a_score_that_is_no_number_is_null_and_counted(served: Served) -> None:
    bundle = served.services.bundle
    model = bundle.engine.model
    assert isinstance(model, LiveModel)
    model.popularity = np.full(len(model.vocabulary), np.nan, np.float32)
    answer = feed(served, user_id="u", k=2)
    assert [item.score for item in answer.items] == [None, None]
    assert "tidegate_nan_scores_total 200.0" in served.client.get("/metrics").text
