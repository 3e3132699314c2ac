from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from serving.bundles.board import Proposal, Report
from serving.bundles.redis_board import RedisBoard
from serving.live.state import StateUnreachableError

WithClient = Callable[[Callable[[Any], Awaitable[None]]], None]


def test_replicas_hear_of_the_one_proposal_and_are_heard(with_client: WithClient) -> None:
    async def body(client: Any) -> None:
        board, other = RedisBoard(client, "feed"), RedisBoard(client, "moderation")
        assert await board.reports() == {}
        assert await board.report("one", Report("a")) is None
        assert await board.propose(Proposal("t", "b"), 60)
        assert not await board.propose(Proposal("u", "c"), 60)
        assert await board.report("two", Report("a", "b", None, "t", "broken")) == Proposal(
            "t", "b"
        )
        assert await board.reports() == {
            "one": Report("a"),
            "two": Report("a", "b", None, "t", "broken"),
        }
        assert await other.reports() == {}
        await board.withdraw()
        assert await board.report("one", Report("a")) is None
        assert 4_000 < await client.pttl("bundles:feed:replica:one") <= 5_000

    with_client(body)


def test_a_silent_replica_is_forgotten(with_client: WithClient) -> None:
    async def body(client: Any) -> None:
        board = RedisBoard(client, "feed")
        await board.report("one", Report("a"))
        await board.report("two", Report("a"))
        await client.pexpire("bundles:feed:replica:two", 1)
        while await client.exists("bundles:feed:replica:two"):
            pass
        assert set(await board.reports()) == {"one"}
        assert await client.smembers("bundles:feed:replicas") == {b"one"}

    with_client(body)


def test_a_server_that_is_gone_is_told(with_client: WithClient) -> None:
    async def body(_: Any) -> None:
        board = RedisBoard(Redis(port=1), "feed")
        with pytest.raises(StateUnreachableError):
            await board.report("one", Report("a"))

    with_client(body)
