import socket
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from serving.feed.contracts import Behaviour
from serving.live.memory_state import MemoryState
from serving.live.redis_state import RedisState
from serving.live.state import OnlineState, StateUnreachableError, UserEvent, UserState
from serving.live.supervisor import StateServer
from tests.contracts.online_state import OnlineStateContract

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TestMemoryState(OnlineStateContract):
    @pytest.fixture
    def state(self) -> OnlineState:
        return MemoryState()


class TestRedisState(OnlineStateContract):
    @pytest.fixture
    async def state(self, state_server: StateServer) -> AsyncIterator[OnlineState]:
        state = RedisState(state_server.url, read_timeout_s=2, write_timeout_s=2)
        yield state
        await state.close()


@pytest.fixture
def silent_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_missing_server_is_named_unreachable(silent_port: int) -> None:
    state = RedisState(f"redis://127.0.0.1:{silent_port}/0", 0.2, 0.2)
    with pytest.raises(StateUnreachableError, match=str(silent_port)):
        await state.read("user")
    with pytest.raises(StateUnreachableError):
        await state.append([UserEvent("user", Behaviour("a", "like", 1))])
    assert not await state.reachable()
    await state.close()


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        state = RedisState(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0", 0.05, 0.05)
        with pytest.raises(StateUnreachableError, match="Timeout"):
            await state.read("user")
        await state.close()


async def test_a_full_server_refuses_the_whole_batch(state_server: StateServer) -> None:
    state = RedisState(state_server.url, 2, 2)
    batch = [UserEvent(name, Behaviour("b", "like", 2)) for name in ("full-1", "full-2")]
    async with Redis.from_url(state_server.url) as operator:
        await operator.config_set("maxmemory", 1)
        try:
            with pytest.raises(StateUnreachableError, match="maxmemory"):
                await state.append(batch)
        finally:
            await operator.config_set("maxmemory", 0)
    assert [await state.read(name) for name in ("full-1", "full-2")] == [UserState()] * 2
    await state.close()
