from collections.abc import Iterator

import pytest
from redis import Redis

from serving.api.events import reaction_of
from serving.app import Settings, build
from serving.feed.exposure import Move, Step
from serving.live.event_stream import StreamLimits
from serving.live.exposure import ExposureLadder
from serving.live.pages import Impression, Pages
from serving.live.wire import state_client
from tests.memory_state import MemoryState
from tests.serving.api.conftest import Client, Served

NOW = 1_800_000_000_000


@pytest.fixture
def connected(settings: Settings, live_url: str) -> Iterator[Served]:
    """The app over a real state server, its ladder kept by nobody."""
    with Redis.from_url(live_url) as client:
        client.flushall()
    app = build(settings, MemoryState(), process="test")
    connection = state_client(live_url, 2.0)
    app.state.services.ladder = ExposureLadder(connection, 60_000)
    client = Client(app)
    served = Served(client, app, settings.serving.log.folder / "test.jsonl")
    yield served
    client.run(connection.aclose())
    client.close()


def test_an_item_says_where_it_stands(connected: Served, live_url: str) -> None:
    client, ladder = connected.client, connected.services.ladder
    assert ladder is not None
    client.run(ladder.open("item-7", "c", 100, NOW))
    notes = Pages(ladder._client, StreamLimits())
    told = [
        Impression(f"u{n}", "item-7", "", reaction=what) for n in range(3) for what in ("", "like")
    ]
    client.run(notes.note(told, NOW))
    answer = client.get("/v1/exposure/item-7").json()
    assert answer.pop("request_id")
    assert answer == {
        "item_id": "item-7",
        "tier": 0,
        "state": "open",
        "budget": 100,
        "reserved": 0,
        "confirmed": 0,
        "first_budget": 100,
        "opened_at_ms": NOW,
        "viewers": 3,
        "reactions": {"completion": 0, "like": 3, "comment": 0, "share": 0, "follow": 0},
        "moves": [{"step": "opened", "at_ms": str(NOW), "tier": "0", "budget": "100"}],
    }
    client.run(ladder.move(Move("item-7", Step.PROMOTED, 0, 1, 1_000), "c", NOW))
    report = client.get("/v1/admin/exposure").json()
    assert (report["items"], report["by_tier"], report["gini"]) == (1, {"1": 1}, 0.0)
    assert [move["step"] for move in report["moves"]] == ["promoted", "opened"]


def test_unknown_items_and_a_missing_state_are_told(connected: Served) -> None:
    answer = connected.client.get("/v1/exposure/nobody")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    connected.services.ladder = None
    answer = connected.client.get("/v1/exposure/item-7")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "state_unreachable")


@pytest.mark.parametrize(
    ("event_type", "watch_ms", "duration_ms", "reaction"),
    [
        ("complete", None, float("nan"), "completion"),
        ("play", 18_000.0, float("nan"), "completion"),
        ("play", 9_000.0, 9_000.0, "completion"),
        ("play", 9_000.0, 60_000.0, ""),
        ("like", None, 1.0, "like"),
        ("unlike", None, 1.0, ""),
        ("impression", None, 1.0, ""),
    ],
)
def test_reactions_are_read_from_events(
    event_type: str, watch_ms: float | None, duration_ms: float, reaction: str
) -> None:
    assert reaction_of(event_type, watch_ms, duration_ms) == reaction
