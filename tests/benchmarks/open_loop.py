"""Open-loop load: requests leave when a Poisson process says, whether or not others came back.

A closed loop waits with its server and so hides its pauses (Tene, coordinated omission); here the
latency of a request counts from the moment at which it was meant to be sent. On a busy machine this
client too sends late, which is not the server's: `OpenResult.served_ms` leaves that out.
"""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, cast

import numpy as np
import uvloop

from tests.benchmarks.load import LENGTH

CONNECTIONS = 256
DRAIN_LIMIT_S = 10.0
SHED = (b"HTTP/1.1 503", b"HTTP/1.1 429")

Sound = Callable[[bytes], bool]


@dataclass
class OpenResult:
    """What one run measured.

    Attributes:
        latency_ms: of every good answer, from its intended sending time.
        served_ms: the same less this client's own lag.
        lag_ms: how late this client sent each request.
        faults: other answers by their first line, and lost connections. shed: 503 and 429.
        unsound: good answers that the caller's check refused.
    """

    latency_ms: list[float] = field(default_factory=list)
    served_ms: list[float] = field(default_factory=list)
    lag_ms: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    shed: int = 0
    unsound: int = 0

    @property
    def errors(self) -> int:
        """Number of all faults."""
        return self.faults.total()

    def percentile_ms(self, percent: float) -> float:
        """Latency that `percent` of the good answers do not exceed."""
        return float(np.percentile(self.latency_ms, percent))

    def served_percentile_ms(self, percent: float) -> float:
        """The same without this client's lag."""
        return float(np.percentile(self.served_ms, percent))

    def lag_percentile_ms(self, percent: float) -> float:
        """Lag that `percent` of the sendings do not exceed."""
        return float(np.percentile(self.lag_ms, percent))


@dataclass(frozen=True)
class Arrivals:
    """A Poisson process.

    Attributes:
        rate: requests a second. limit_s: its longest duration. seed: draws the moments.
        ended: asked at each arrival; true ends it early.
    """

    rate: float
    limit_s: float
    seed: int
    ended: Callable[[], bool] = lambda: False


def prefer_this_process() -> None:
    """Pin the client to the last core, and let it run before the server where that is allowed."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)


def open_loop(
    port: int, requests: Sequence[bytes], arrivals: Arrivals, sound: Sound = lambda _: True
) -> OpenResult:
    """Send requests in turn to 127.0.0.1 at the moments of `arrivals`.

    Args:
        port: of the server. requests: sent one after the other, again from the first at the end.
        arrivals: when. sound: asked about the body of every good answer.
    """
    return uvloop.run(_open_loop(port, requests, arrivals, sound))


def capacity_rps(
    port: int, requests: Sequence[bytes], p99_limit_ms: float, seconds: float, seed: int
) -> float:
    """Return the highest rate, to a tenth, that keeps the p99 within a limit and sheds nothing."""

    def holds(rate: float) -> bool:
        result = open_loop(port, requests, Arrivals(rate, seconds, seed))
        failed = result.errors + result.shed
        return not failed and result.percentile_ms(99) <= p99_limit_ms

    low = 25.0
    while holds(2 * low):
        low *= 2
    high = 2 * low
    while high > 1.1 * low:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


async def _open_loop(
    port: int, requests: Sequence[bytes], arrivals: Arrivals, sound: Sound
) -> OpenResult:
    loop = asyncio.get_running_loop()
    random = np.random.default_rng(arrivals.seed)
    result = OpenResult()
    lines = _Lines(result, sound)
    for _ in range(CONNECTIONS):
        await loop.create_connection(partial(_Line, lines), "127.0.0.1", port)
    due = started = time.perf_counter()
    sent = 0
    while due - started < arrivals.limit_s and not arrivals.ended():
        due += random.exponential(1 / arrivals.rate)
        if (early_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(early_s)
        lines.send(requests[sent % len(requests)], due)
        sent += 1
    deadline = time.perf_counter() + DRAIN_LIMIT_S
    while lines.waiting and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
    result.faults += Counter({"no answer": lines.waiting})
    lines.close()
    return result


class _Lines:
    """All connections; a request for which none is free waits for the next one."""

    def __init__(self, result: OpenResult, sound: Sound) -> None:
        self.result = result
        self.free: list[_Line] = []
        self.waiting = 0
        self._all: list[_Line] = []
        self._queue: list[_Call] = []
        self._sound = sound

    def add(self, line: "_Line") -> None:
        self._all.append(line)
        self.free.append(line)

    def send(self, request: bytes, due: float) -> None:
        self.waiting += 1
        call = _Call(request, due, time.perf_counter())
        self.result.lag_ms.append((call.sent - due) * 1000)
        if self.free:
            self.free.pop().ask(call)
        else:
            self._queue.append(call)

    def answered(self, line: "_Line", call: "_Call", head: bytes, body: bytes) -> None:
        self.waiting -= 1
        if head.startswith(b"HTTP/1.1 2"):
            now = time.perf_counter()
            self.result.latency_ms.append((now - call.due) * 1000)
            self.result.served_ms.append((now - call.sent) * 1000)
            self.result.unsound += not self._sound(body)
        elif head.startswith(SHED):
            self.result.shed += 1
        else:
            self.result.faults[head.partition(b"\r\n")[0].decode()] += 1
        if self._queue:
            line.ask(self._queue.pop(0))
        else:
            self.free.append(line)

    def lost(self, line: "_Line", asking: bool) -> None:
        if asking:
            self.waiting -= 1
            self.result.faults["connection lost"] += 1
        if line in self.free:
            self.free.remove(line)

    def close(self) -> None:
        for line in self._all:
            line.close()


class _Call(NamedTuple):
    """A request, the moment at which it was due, and that at which this client got to it."""

    request: bytes
    due: float
    sent: float


class _Line(asyncio.Protocol):
    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._buffer = b""
        self._call: _Call | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._lines.add(self)

    def ask(self, call: _Call) -> None:
        self._call = call
        self._transport.write(call.request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if self._call is None or not found or length is None or len(body) < int(length[1]):
            return
        call, self._call, self._buffer = self._call, None, b""
        self._lines.answered(self, call, head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.lost(self, self._call is not None)
        self._call = None

    def close(self) -> None:
        self._call = None
        self._transport.close()
