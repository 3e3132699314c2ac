"""The connection over which every answer asks a state server.

redis-py's asyncio client spends more on such a command than the server does: a pool, telemetry, a
task for the timeout of each write. Here the commands of all requests follow each other on one
connection, and the answers come in their order.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import hiredis
from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

Argument = bytes | str | int
PLAIN = {"host", "port", "path", "db", "username", "password", "connection_class"}  # of an address


class Commands(Protocol):
    """A way to one state server."""

    async def execute_command(self, *command: Argument) -> Any:
        """Return the server's answer.

        Raises:
            RedisError: it gave none in time, or refused.
        """

    async def aclose(self) -> None:
        """Give connections back; nothing may be asked afterwards."""


@dataclass(frozen=True)
class Address:
    """Where a state server listens, and what it is told first.

    Attributes:
        path: of a Unix socket; empty for TCP.
    """

    host: str = "localhost"
    port: int = 6379
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)


def address_of(url: str) -> Address | None:
    """The address that a url names; None for one with options that only redis-py knows.

    Raises:
        ValueError: the url is of no known scheme.
    """
    named: dict[str, Any] = dict(parse_url(url))
    if url.startswith("rediss:") or not named.keys() <= PLAIN:
        return None
    named.pop("connection_class", None)
    return Address(**named)


def open_wire(url: str, timeout_s: float, retries: int = 0) -> Commands:
    """Return a way to the server at a url; it connects at the first command.

    Args:
        url: ``redis://[user:password@]host:port/db``, ``unix://path``, or what redis-py knows.
        timeout_s: of one command, connecting included.
        retries: of a command that was not answered; 0 where it must not be done twice.

    Raises:
        ValueError: the url is of no known scheme.
    """
    address = address_of(url)
    return (
        state_client(url, timeout_s, retries)
        if address is None
        else Wire(address, timeout_s, retries)
    )


def state_client(url: str, timeout_s: float, retries: int = 0) -> Any:
    """A client of redis-py that gives up in time.

    Raises:
        ValueError: the url is of no known scheme.
    """
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), retries),
    )


class Wire:
    """See `Commands`; connects anew when a connection was lost or did not answer in time."""

    def __init__(self, address: Address, timeout_s: float, retries: int) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._retries = retries
        self._line: _Line | None = None
        self._lines: set[_Line] = set()
        self._opening = asyncio.Lock()

    async def execute_command(self, *command: Argument) -> Any:
        """See `Commands.execute_command`."""
        for _ in range(self._retries):
            try:
                return await self._asked(command)
            except (exceptions.ConnectionError, exceptions.TimeoutError):
                continue
        return await self._asked(command)

    async def aclose(self) -> None:
        """See `Commands.aclose`."""
        for line in list(self._lines):
            line.close()
            await line.lost

    async def _asked(self, command: tuple[Argument, ...]) -> Any:
        line = None
        try:
            async with asyncio.timeout(self._timeout_s):
                line = await self._open()
                return await line.ask(command)
        except TimeoutError as error:
            self._retire(line)
            raise exceptions.TimeoutError(f"Timeout: no answer of {self._address}") from error
        except OSError as error:
            raise exceptions.ConnectionError(f"{self._address}: {error}") from error

    async def _open(self) -> "_Line":
        if self._line is not None and not self._line.lost.done():
            return self._line
        async with self._opening:
            if self._line is None or self._line.lost.done():
                self._line = await self._connected()
            return self._line

    async def _connected(self) -> "_Line":
        to, loop = self._address, asyncio.get_running_loop()
        if to.path:
            _, line = await loop.create_unix_connection(_Line, to.path)
        else:
            _, line = await loop.create_connection(_Line, to.host, to.port)
        self._lines.add(line)
        line.lost.add_done_callback(lambda _: self._lines.discard(line))
        try:
            if to.password:
                await line.ask(("AUTH", *([to.username] if to.username else []), to.password))
            if to.db:
                await line.ask(("SELECT", to.db))
        except BaseException:
            line.close()
            raise
        return line

    def _retire(self, line: "_Line | None") -> None:
        """Ask no more over a line that is late; what it was asked before may still be answered."""
        if line is not None and line is self._line:
            self._line = None
            asyncio.get_running_loop().call_later(self._timeout_s, line.close)


class _Line(asyncio.Protocol):
    """One connection.

    Attributes:
        lost: done when the connection is no more.
    """

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = hiredis.Reader(replyError=_refusal)
        self._waiting: deque[asyncio.Future[Any]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no base of asyncio

    def data_received(self, data: bytes) -> None:
        """Give answers to those who wait, in the order in which they asked."""
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            waiting = self._waiting.popleft()
            if waiting.done():  # who asked gave up
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell all who wait."""
        self.lost.set_result(None)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(exceptions.ConnectionError(f"connection lost: {error}"))

    def ask(self, command: tuple[Argument, ...]) -> "asyncio.Future[Any]":
        """Send a command; its answer is to come."""
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub names one part
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._transport.write(packed)
        return answer

    def close(self) -> None:
        """End the connection without waiting for answers."""
        self._transport.abort()


def _refusal(text: str) -> Exception:
    kind = exceptions.NoScriptError if text.startswith("NOSCRIPT") else exceptions.ResponseError
    return kind(text)
