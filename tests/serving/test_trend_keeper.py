"""Counts of the state reach the board of whatever serves."""

import asyncio
from dataclasses import replace

import numpy as np
from redis.asyncio import Redis

from models.tasks import TASKS
from serving.feed.engine import FeedEngine
from serving.feed.shelf import make_shelf
from serving.feed.signals import SignalBoard
from serving.live.event_stream import EventStream, StreamLimits, logged_event
from serving.live.supervisor import StateServer
from serving.trend_keeper import Buckets, TrendKeeper
from tests.item_table import item_table
from tests.serving.feed.fixed_model import HISTORY_LENGTH, ring_model

NOW = 1_900_000_000_000
LIMITS = StreamLimits(bucket_ms=60_000, buckets=30)


def engine_with_board() -> FeedEngine:
    model = ring_model(6)
    shelf = make_shelf(item_table([{}] * 6), model.popularity)
    return FeedEngine(model, shelf, HISTORY_LENGTH, signals=SignalBoard(shelf.facts))


def test_events_become_counts_and_trends(state_server: StateServer) -> None:
    engines = [engine_with_board()]
    now_ms = NOW

    async def scenario() -> None:
        nonlocal now_ms
        client = Redis.from_url(state_server.url)
        await client.flushall()
        stream = EventStream(client, LIMITS)
        keeper = TrendKeeper(
            Buckets(client, LIMITS.bucket_ms, LIMITS.buckets),
            lambda: engines[0],
            lambda: now_ms,
            interval_s=5,
        )
        for minute in range(20):
            now_ms = NOW + minute * 60_000
            if minute > 15:
                await react(stream, "item-2", "CN", now_ms, f"{minute}")
            await react(stream, "item-9", "CN", now_ms, f"unknown-{minute}", "impression")
            if minute in (7, 19):
                await keeper.read()
        await keeper.show(engines[0])
        await client.aclose()

    asyncio.run(scenario())
    board = engines[0].signals
    assert board is not None
    assert board.hottest("CN", 5).tolist() == [2]
    assert board.hottest("nowhere", 5).tolist() == [2]
    likes = board.counters.reactions[:, TASKS.index("like")]
    assert likes.tolist() == [0, 0, 80, 0, 0, 0]  # each bucket once, the filling one too
    assert board.counters.reactions[2, TASKS.index("long_view")] == 4
    assert np.isfinite(board.counters.impressions).all()


async def react(
    stream: EventStream, item_id: str, region: str, now_ms: int, name: str, kind: str = "like"
) -> None:
    event = {"user_id": "u", "item_id": item_id, "time": now_ms}
    batch = [
        logged_event(event | {"event_id": f"{name}-{n}", "type": kind}, region) for n in range(20)
    ]
    if kind == "like":
        long = event | {"event_id": f"{name}-p", "type": "play", "watch_ms": 20_000.0}
        batch.append(logged_event(long, region))
    await stream.append(batch, now_ms)


def test_a_swapped_bundle_is_shown_the_counts_at_once() -> None:
    first, second = engine_with_board(), engine_with_board()
    serving = [first]
    keeper = TrendKeeper(Buckets(None, 60_000, 30), lambda: serving[0], lambda: NOW, 1e9)
    keeper._counted = keeper._tally.counted({"like:CN:item-1": 4})

    async def scenario() -> None:
        task = asyncio.create_task(keeper.keep())
        keeper._interval_s = 1e12
        await asyncio.sleep(0.05)
        serving[0] = replace(second)
        await asyncio.sleep(0.7)
        task.cancel()

    keeper.read = noop  # type: ignore[method-assign]
    asyncio.run(scenario())
    for engine in (first, second):
        assert engine.signals is not None
        assert engine.signals.counters.reactions[1, TASKS.index("like")] == 4


async def noop() -> None:
    """Read nothing."""
