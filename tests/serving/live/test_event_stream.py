import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.live.counters import bucket_of, bucket_starts, read_bucket
from serving.live.event_stream import (
    BATCH_EVENTS,
    ConflictingEventsError,
    EventStream,
    LoggedEvent,
    StreamLimits,
    logged_event,
)
from serving.live.state import StateUnreachableError

NOW = 1_800_000_000_000
HOUR = 3_600_000
LIMITS = StreamLimits()
Run = Callable[[Callable[[Any], Any]], Any]


def event(name: str, user: str = "u1", value: int = 0, **fields: Any) -> LoggedEvent:
    return LoggedEvent(name, user, orjson.dumps({"event_id": name, "value": value}), **fields)


async def logged(client: Any) -> list[str]:
    bodies = [fields[b"body"] for _, fields in await client.xrange("events")]
    return [orjson.loads(line)["event_id"] for body in bodies for line in body.split(b"\n")]


def test_a_batch_enters_log_recent_and_counters(with_client: Run) -> None:
    async def body(client: Any) -> None:
        stream = EventStream(client, LIMITS)
        done = await stream.append(
            [
                event("a", recent=b"[1]", counter="like:CN:i1"),
                event("b", recent=b"[2]", counter="like:CN:i1"),
                event("c"),
                event("d", user="u2", recent=b"[3]"),
            ],
            NOW,
        )
        assert (done.fresh, done.duplicates) == (4, ())
        assert await logged(client) == ["a", "b", "c", "d"]
        assert await client.lrange("recent:u1", 0, -1) == [b"[2]", b"[1]"]
        assert await client.lrange("recent:u2", 0, -1) == [b"[3]"]
        filling = bucket_of(NOW, LIMITS.bucket_ms)
        assert await read_bucket(client, filling) == {"like:CN:i1": 2}

    with_client(body)


def test_the_same_again_is_taken_once(with_client: Run) -> None:
    async def body(client: Any) -> None:
        stream = EventStream(client, LIMITS)
        await stream.append([event("a", recent=b"[1]"), event("b")], NOW)
        again = await stream.append([event("b"), event("c"), event("c")], NOW + HOUR)
        assert (again.fresh, again.duplicates) == (1, (0, 2))
        nothing = await stream.append([event("a", recent=b"[1]")], NOW + HOUR)
        assert (nothing.entry, nothing.fresh) == ("", 0)
        assert await logged(client) == ["a", "b", "c"]
        assert await client.llen("recent:u1") == 1

    with_client(body)


def test_another_body_under_a_known_id_stores_nothing(with_client: Run) -> None:
    async def body(client: Any) -> None:
        stream = EventStream(client, LIMITS)
        await stream.append([event("a")], NOW)
        with pytest.raises(ConflictingEventsError) as caught:
            await stream.append([event("new", recent=b"[1]"), event("a", value=1)], NOW)
        assert caught.value.positions == (1,)
        with pytest.raises(ConflictingEventsError):
            await stream.append([event("x"), event("x", value=1)], NOW)
        assert await logged(client) == ["a"]
        assert await client.exists("recent:u1") == 0

    with_client(body)


def test_ids_are_known_for_a_day_or_five_generations(with_client: Run) -> None:
    async def body(client: Any) -> None:
        stream = EventStream(client, StreamLimits(generation_ids=10))
        for n in range(60):
            await stream.append([event(f"e{n}")], NOW)
        assert (await stream.append([event("e10")], NOW)).fresh == 0
        assert (await stream.append([event("e0")], NOW)).fresh == 1
        ttls = [await client.pttl(f"ids:{n}") for n in range(1, 6)]
        assert all(23 * HOUR < ttl <= 24 * HOUR for ttl in ttls)

    with_client(body)


def test_a_generation_closes_by_age(with_client: Run) -> None:
    async def body(client: Any) -> None:
        stream = EventStream(client, LIMITS)
        await stream.append([event("a")], NOW)
        await stream.append([event("b")], NOW + 6 * HOUR)
        assert await client.hget("ids", "newest") == b"1"
        assert (await stream.append([event("a")], NOW + 7 * HOUR)).fresh == 0

    with_client(body)


def test_a_full_stream_refuses_and_says_why(with_client: Run) -> None:
    async def body(client: Any) -> None:
        stream = EventStream(client, StreamLimits(stream_entries=1))
        await stream.append([event("a")], NOW)
        with pytest.raises(StateUnreachableError, match="archiver"):
            await stream.append([event("b")], NOW)
        assert await logged(client) == ["a"]

    with_client(body)


@pytest.mark.parametrize("count", [0, BATCH_EVENTS + 1])
def test_batches_have_limits(with_client: Run, count: int) -> None:
    async def body(client: Any) -> None:
        with pytest.raises(ValueError, match=f"1 to {BATCH_EVENTS}"):
            await EventStream(client, LIMITS).append([event(str(n)) for n in range(count)], NOW)

    with_client(body)


def test_the_largest_batch_fits_the_script(with_client: Run) -> None:
    async def body(client: Any) -> None:
        batch = [event(f"e{n}", recent=b"[]", counter=f"like:CN:{n}") for n in range(BATCH_EVENTS)]
        done = await EventStream(client, LIMITS).append(batch, NOW)
        assert done.fresh == BATCH_EVENTS
        assert await client.llen("recent:u1") == 200

    with_client(body)


names = st.integers(0, 30)
batches = st.lists(
    st.lists(st.tuples(names, st.integers(0, 1)), min_size=1, max_size=8), max_size=8
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches)
def test_any_order_of_batches_logs_each_id_once(
    with_client: Run, given_batches: list[list[tuple[int, int]]]
) -> None:
    async def body(client: Any) -> tuple[list[str], list[str]]:
        stream, order = EventStream(client, LIMITS), list[str]()
        known: dict[int, int] = {}
        for batch in given_batches:
            clash = False
            fresh: dict[int, int] = {}
            for name, value in batch:
                before = known.get(name, fresh.get(name))
                clash |= before not in (None, value)
                if before is None:
                    fresh[name] = value
            sent = [event(str(name), value=value) for name, value in batch]
            try:
                await stream.append(sent, NOW)
            except ConflictingEventsError:
                assert clash
                continue
            assert not clash
            known |= fresh
            order += [str(name) for name in fresh]
        return await logged(client), order

    found, expected = with_client(body)
    assert found == expected


@given(st.integers(0, 10**7), st.integers(1, 50), st.integers(1, 1000))
def test_buckets_cover_the_window_to_one_width(now_ms: int, widths: int, bucket_ms: int) -> None:
    window_ms = widths * bucket_ms
    starts = bucket_starts(now_ms, window_ms, bucket_ms)
    assert len(starts) == widths
    assert starts[-1] <= now_ms < starts[-1] + bucket_ms
    assert now_ms - window_ms < starts[0] + bucket_ms


def test_concurrent_repeats_are_logged_once(with_client: Run) -> None:
    async def body(client: Any) -> None:
        stream = EventStream(client, LIMITS)
        batch = [event(f"e{n}") for n in range(50)]
        done = await asyncio.gather(*(stream.append(batch, NOW) for _ in range(8)))
        assert sum(one.fresh for one in done) == 50
        assert len(await logged(client)) == 50

    with_client(body)


def test_an_event_is_logged_whole_and_shortened_for_the_next_request() -> None:
    sent = {"event_id": "e", "user_id": "u", "item_id": "i", "type": "play", "time": NOW}
    sent |= {"watch_ms": 5.0, "request_id": "r"}
    done = logged_event(sent, "CN")
    assert orjson.loads(done.body) == sent
    assert orjson.loads(done.recent) == ["i", "play", NOW, 5.0]
    assert done.counter == "play:CN:i"
    seen = logged_event(sent | {"type": "impression"}, "CN")
    assert seen.recent == b""
    assert logged_event(dict(reversed(sent.items())), "CN") == done
