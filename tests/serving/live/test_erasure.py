import asyncio
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from serving.live.erasure import bar, barred_count, forget_user, held_keys
from serving.live.event_stream import BarredEventsError, EventStream, LoggedEvent, StreamLimits
from serving.live.pages import Impression, Pages
from serving.live.supervisor import StateServer

NOW = 1_800_000_000_000


def test_nothing_of_the_user_is_left_in_any_file(tmp_path: Path) -> None:
    async def live(url: str) -> None:
        client = AsyncRedis.from_url(url)
        stream = EventStream(client, StreamLimits())
        for user in ("u-gone", "u-stays"):
            text = b'{"user_id":"%s"}' % user.encode()
            await stream.append([LoggedEvent(f"{user}-1", user, text, b"[]")], NOW)
            await Pages(client, StreamLimits()).note([Impression(user, "i1", "")], NOW)
        await client.aclose()

    def found(word: bytes) -> bool:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return any(word in path.read_bytes() for path in files)

    folder = tmp_path / "state"
    server = StateServer(folder)
    server.start()
    try:
        asyncio.run(live(server.url))
        assert found(b"u-gone")
        with Redis.from_url(server.url) as client:
            client.xtrim("events", maxlen=0)
            assert held_keys(client, "u-gone") == 2
            forget_user(client, "u-gone")
            assert held_keys(client, "u-gone") == 0
            forget_user(client, "u-gone")
        assert not found(b"u-gone")
        assert found(b"u-stays")
    finally:
        server.stop()


def test_what_comes_of_a_barred_user_is_refused_with_its_batch(live_url: str) -> None:
    async def append(*subjects: str) -> None:
        client = AsyncRedis.from_url(live_url)
        events = [LoggedEvent(f"e-{n}", "u", b"{}", b"[]", "", s) for n, s in enumerate(subjects)]
        try:
            await EventStream(client, StreamLimits()).append(events, NOW)
        finally:
            await client.aclose()

    with Redis.from_url(live_url) as client:
        client.flushall()
        bar(client, {f"s-{n}" for n in range(2_500)})
        assert barred_count(client) == 2_500
        with pytest.raises(BarredEventsError) as refused:
            asyncio.run(append("s-other", "s-7", "", "s-2499"))
        assert refused.value.positions == (1, 3)
        assert client.keys("recent:*") == []
        assert client.xlen("events") == 0
