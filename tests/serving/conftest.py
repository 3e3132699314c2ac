"""A real state server, as the launcher starts it, shared by the session and emptied per test."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from redis.asyncio import Redis

from serving.live.supervisor import StateServer

T = TypeVar("T")


@pytest.fixture(scope="session")
def live_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = StateServer(tmp_path_factory.mktemp("live"), fsync="everysec")
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def with_client(live_url: str) -> Callable[[Callable[[Any], Awaitable[T]]], T]:
    """Run an async test body on a client of an empty state."""

    async def emptied(body: Callable[[Any], Awaitable[T]]) -> T:
        client = Redis.from_url(live_url)
        try:
            await client.flushall()
            return await body(client)
        finally:
            await client.aclose()

    return lambda body: asyncio.run(emptied(body))
