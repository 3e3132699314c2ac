import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from redis import exceptions
from redis.asyncio import Redis

from serving.live.supervisor import StateServer
from serving.live.wire import Address, Commands, Wire, address_of, open_wire

pytestmark = pytest.mark.anyio
OpenWire = Callable[..., Commands]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def open_to(state_server: StateServer) -> AsyncIterator[OpenWire]:
    """Open wires to a server, ours by default; all of them are closed at the end."""
    opened: list[Commands] = []

    def wire(url: str = state_server.url, timeout_s: float = 2.0, retries: int = 0) -> Commands:
        opened.append(open_wire(url, timeout_s, retries))
        return opened[-1]

    yield wire
    for one in opened:
        await one.aclose()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://state:7000/2", Address("state", 7000, db=2)),
        ("redis://name:p%40ss@state", Address("state", 6379, "", 0, "name", "p@ss")),
        ("unix:///run/state.sock", Address(path="/run/state.sock")),
        ("rediss://state", None),
        ("redis://state?health_check_interval=3", None),
    ],
)
def test_an_address_is_read_or_left_to_redis_py(url: str, address: Address | None) -> None:
    assert address_of(url) == address


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="redis://"):
        open_wire("http://state", 1.0)


def test_a_password_is_not_in_messages() -> None:
    assert "secret" not in str(address_of("redis://:secret@state"))


async def test_answers_belong_to_their_commands(open_to: OpenWire) -> None:
    wire = open_to()
    assert isinstance(wire, Wire)
    asked = [wire.execute_command("ECHO", f"text {n}") for n in range(100)]
    assert await asyncio.gather(*asked) == [b"text %d" % n for n in range(100)]


async def test_what_redis_py_must_do_answers_alike(
    open_to: OpenWire, state_server: StateServer
) -> None:
    wire = open_to(f"{state_server.url}?health_check_interval=0")
    assert not isinstance(wire, Wire)
    assert await wire.execute_command("ECHO", "text") == b"text"


async def test_a_refused_command_does_not_end_the_others(open_to: OpenWire) -> None:
    wire = open_to()
    other = asyncio.create_task(wire.execute_command("ECHO", "text"))
    with pytest.raises(exceptions.ResponseError, match="NO-SUCH-COMMAND"):
        await wire.execute_command("NO-SUCH-COMMAND")
    assert await other == b"text"


async def test_a_lost_connection_is_told_and_made_anew(
    open_to: OpenWire, state_server: StateServer
) -> None:
    wire = open_to()
    number = await wire.execute_command("CLIENT", "ID")
    waiting = asyncio.create_task(wire.execute_command("BLPOP", "nothing", 1))
    await asyncio.sleep(0.05)
    async with Redis.from_url(state_server.url) as operator:
        await operator.client_kill_filter(_id=number)
    with pytest.raises(exceptions.ConnectionError, match="lost"):
        await waiting
    assert await wire.execute_command("ECHO", "text") == b"text"
    assert await wire.execute_command("CLIENT", "ID") != number


async def test_a_late_answer_is_nobody_elses(open_to: OpenWire) -> None:
    wire = open_to(timeout_s=0.2)
    number = await wire.execute_command("CLIENT", "ID")
    with pytest.raises(exceptions.TimeoutError, match="Timeout"):
        await wire.execute_command("BLPOP", "nothing", "0.4")
    assert await wire.execute_command("ECHO", "text") == b"text"
    assert await wire.execute_command("CLIENT", "ID") != number


async def test_who_gives_up_leaves_the_next_answer_alone(open_to: OpenWire) -> None:
    wire = open_to()
    assert await wire.execute_command("ECHO", "text") == b"text"
    waiting = asyncio.create_task(wire.execute_command("BLPOP", "nothing", "0.2"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    assert await wire.execute_command("ECHO", "next") == b"next"


async def test_a_command_is_repeated_as_often_as_it_may_be() -> None:
    asked = 0

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += bool(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for retries in (0, 1):
        asked, wire = 0, open_wire(url, 2.0, retries)
        with pytest.raises(exceptions.ConnectionError):
            await wire.execute_command("PING")
        await wire.aclose()
        assert asked == 1 + retries
    server.close()


async def test_a_server_with_a_password_and_databases(tmp_path: Path, open_to: OpenWire) -> None:
    server = StateServer(tmp_path)
    server.start()
    try:
        plain = open_to(server.url)
        await plain.execute_command("CONFIG", "SET", "requirepass", "secret")
        base = server.url.removeprefix("redis://").removesuffix("/0")
        wire = open_to(f"redis://:secret@{base}/3")
        await wire.execute_command("SET", "key", "of database 3")
        async with Redis.from_url(f"redis://:secret@{base}/3") as client:
            assert await client.get("key") == b"of database 3"
        with pytest.raises(exceptions.ResponseError, match="WRONGPASS"):
            await open_to(f"redis://:wrong@{base}").execute_command("PING")
    finally:
        server.stop()
