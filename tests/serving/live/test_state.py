import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from serving.feed.contracts import Behaviour
from serving.live.event_stream import BARRED
from serving.live.mirror import encode_rows
from serving.live.online_state import OnlineState
from serving.live.pages import SEQUENCE, VISIBILITY
from serving.live.redis_state import DiskReserve, RedisState
from serving.live.scripts import answered
from serving.live.state import StateFullError, StateUnreachableError, UserState
from serving.live.supervisor import StateServer
from serving.records.status import EVERYONE, StatusRow
from tests.contracts.online_state import NOW, Bar, Hide, OnlineStateContract, logged
from tests.memory_state import MemoryState

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TestMemoryState(OnlineStateContract):
    @pytest.fixture
    def state(self) -> MemoryState:
        return MemoryState()

    @pytest.fixture
    def hide(self, state: MemoryState) -> Hide:
        async def hidden(subjects: Sequence[str]) -> None:
            state.visibility.replace(1, encoded(subjects))

        return hidden

    @pytest.fixture
    def bar(self, state: MemoryState) -> Bar:
        async def barred(subject: str) -> None:
            state.barred.add(subject)

        return barred


class TestRedisState(OnlineStateContract):
    @pytest.fixture
    async def state(self, state_server: StateServer) -> AsyncIterator[OnlineState]:
        state = RedisState(state_server.url, state_server.url, 2, 2)
        yield state
        await state.close()

    @pytest.fixture
    def hide(self, state_server: StateServer) -> Hide:
        return hidden_at(state_server.url)

    @pytest.fixture
    def bar(self, state_server: StateServer) -> Bar:
        return barred_at(state_server.url)


class TestRedisStateOnTwoServers(OnlineStateContract):
    @pytest.fixture
    async def state(self, state_server: StateServer, live_url: str) -> AsyncIterator[OnlineState]:
        state = RedisState(state_server.url, live_url, 2, 2)
        yield state
        await state.close()

    @pytest.fixture
    def hide(self, live_url: str) -> Hide:
        return hidden_at(live_url)

    @pytest.fixture
    def bar(self, state_server: StateServer, live_url: str) -> Bar:
        return barred_at(state_server.url, live_url)


def encoded(subjects: Sequence[str]) -> dict[str, str]:
    rows = [StatusRow(subject, EVERYONE, "hidden", True, 1, 1) for subject in subjects]
    return {row.subject: encode_rows([row]) for row in rows}


def barred_at(*urls: str) -> Bar:
    async def barred(subject: str) -> None:
        for url in urls:
            async with Redis.from_url(url) as client:
                await client.sadd(BARRED, subject)

    return barred


def hidden_at(url: str) -> Hide:
    async def hidden(subjects: Sequence[str]) -> None:
        async with Redis.from_url(url) as client:
            await client.delete(VISIBILITY)
            await client.set(SEQUENCE, 1)
            for subject, rows in encoded(subjects).items():
                await client.hset(VISIBILITY, subject, rows)

    return hidden


@pytest.fixture
def silent_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_missing_server_is_named_unreachable(silent_port: int) -> None:
    url = f"redis://127.0.0.1:{silent_port}/0"
    state = RedisState(url, url, 0.2, 0.2)
    with pytest.raises(StateUnreachableError, match=str(silent_port)):
        await state.read("user", NOW)
    with pytest.raises(StateUnreachableError):
        await state.append([logged("user", Behaviour("a", "like", 1))], [], NOW)
    assert not await state.reachable()
    await state.close()


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        state = RedisState(url, url, 0.05, 0.05)
        with pytest.raises(StateUnreachableError, match="Timeout"):
            await state.read("user", NOW)
        await state.close()


async def test_a_full_server_refuses_the_whole_batch(state_server: StateServer) -> None:
    state = RedisState(state_server.url, state_server.url, 2, 2)
    batch = [logged(name, Behaviour("b", "like", 2)) for name in ("full-1", "full-2")]
    async with Redis.from_url(state_server.url) as operator:
        await operator.config_set("maxmemory", 1)
        try:
            with pytest.raises(StateUnreachableError, match="maxmemory"):
                await state.append(batch, [], NOW)
        finally:
            await operator.config_set("maxmemory", 0)
    assert [await state.read(name, NOW) for name in ("full-1", "full-2")] == [UserState()] * 2
    await state.close()


async def test_nothing_of_a_batch_is_written_where_too_little_is_free(
    live_url: str, tmp_path: Path
) -> None:
    batch = [logged("u", Behaviour("a", "like", 1))]
    for folder, refused in ((tmp_path, True), (tmp_path / "of another machine", False)):
        state = RedisState(live_url, live_url, 2, 2, DiskReserve(folder, 1 << 60))
        async with Redis.from_url(live_url) as client:
            await client.flushall()
            if refused:
                with pytest.raises(StateFullError, match="bytes free of"):
                    await state.append(batch, [], NOW)
            else:
                await state.append(batch, [], NOW)
            assert bool(await client.keys()) is not refused
        await state.close()


async def test_a_server_whose_disk_is_full_is_told_apart_from_one_that_is_away() -> None:
    async def refused() -> None:
        raise ResponseError("MISCONF Errors writing to the AOF file: No space left on device")

    with pytest.raises(StateFullError, match="MISCONF"):
        await answered(refused())
