import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from serving.live.erasure import forget_user
from serving.live.event_stream import EventStream, LoggedEvent, StreamLimits
from serving.live.pages import Impression, Pages
from serving.live.supervisor import StateServer

NOW = 1_800_000_000_000


def test_nothing_of_the_user_is_left_in_any_file(tmp_path: Path) -> None:
    async def body(url: str) -> None:
        client = Redis.from_url(url)
        stream = EventStream(client, StreamLimits())
        for user in ("u-gone", "u-stays"):
            text = b'{"user_id":"%s"}' % user.encode()
            await stream.append([LoggedEvent(f"{user}-1", user, text, b"[]")], NOW)
            await Pages(client, StreamLimits()).note([Impression(user, "i1", "")], NOW)
        assert found(b"u-gone")
        await client.xtrim("events", maxlen=0)
        assert await forget_user(client, "u-gone") == 2
        assert await forget_user(client, "u-gone") == 0
        await client.aclose()

    def found(word: bytes) -> bool:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return any(word in path.read_bytes() for path in files)

    folder = tmp_path / "state"
    server = StateServer(folder)
    server.start()
    try:
        asyncio.run(body(server.url))
        assert not found(b"u-gone")
        assert found(b"u-stays")
    finally:
        server.stop()


def test_a_user_without_state_is_forgotten_too(
    with_client: Callable[[Callable[[Any], Any]], Any],
) -> None:
    assert with_client(lambda client: forget_user(client, "nobody")) == 0
