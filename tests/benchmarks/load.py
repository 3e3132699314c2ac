"""A small HTTP/1.1 load client on raw asyncio: cheap enough not to be what is measured."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class LoadResult:
    """What one run measured.

    Attributes:
        latency_ms: of every good answer. errors: other answers and lost connections.
        duration_s: of the run.
    """

    latency_ms: np.ndarray[tuple[int], np.dtype[np.float64]]
    errors: int
    duration_s: float

    @property
    def rps(self) -> float:
        """Good answers a second."""
        return len(self.latency_ms) / self.duration_s

    def percentile_ms(self, percent: float) -> float:
        """Latency that `percent` of the answers do not exceed."""
        return float(np.percentile(self.latency_ms, percent))


def request_bytes(method: str, path: str, body: bytes = b"") -> bytes:
    """One request of a keep-alive connection."""
    head = f"{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def closed_loop(
    port: int, requests: Sequence[bytes], connections: int, duration_s: float
) -> LoadResult:
    """Keep `connections` busy on 127.0.0.1, each asking again once it is answered."""
    return uvloop.run(_closed_loop(port, requests, connections, duration_s))


async def _closed_loop(
    port: int, requests: Sequence[bytes], connections: int, duration_s: float
) -> LoadResult:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    until = started + duration_s
    clients = []
    for n in range(connections):
        # Each connection starts elsewhere, else all ask for the same user at once.
        turned = [*requests[n % len(requests) :], *requests[: n % len(requests)]]
        connected = await loop.create_connection(partial(_Client, turned, until), "127.0.0.1", port)
        clients.append(connected[1])
    await asyncio.gather(*(client.ended for client in clients))
    return LoadResult(
        np.array([ms for client in clients for ms in client.latency_ms]),
        sum(client.errors for client in clients),
        time.perf_counter() - started,
    )


class _Client(asyncio.Protocol):
    def __init__(self, requests: Sequence[bytes], until: float) -> None:
        self.latency_ms: list[float] = []
        self.errors = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._sent = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return
        if head.startswith(b"HTTP/1.1 2"):
            self.latency_ms.append((time.perf_counter() - self._asked_at) * 1000)
        else:
            self.errors += 1
        self._buffer = b""
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.errors += 1
            self.ended.set_result(None)

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        if self._asked_at >= self._until:
            self.ended.set_result(None)
            self._transport.close()
            return
        self._transport.write(self._requests[self._sent % len(self._requests)])
        self._sent += 1
