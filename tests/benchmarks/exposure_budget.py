"""Exposure budgets under fire: replicas crash, impressions never come, come late or twice.

python -m tests.benchmarks.exposure_budget

Four processes reserve exposure of the same items on one real state server and tell what was seen;
every now and then one is killed and another takes its place. Meanwhile reserved + confirmed is read
in one atomic step again and again. Then the losses end, what was held is released, and the replicas
go on until the budgets are used or time is over.
"""

import argparse
import asyncio
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from serving.live.event_stream import StreamLimits
from serving.live.exposure import ExposureLadder
from serving.live.pages import SEQUENCE, Candidate, Impression, PageDraft, Pages
from serving.live.supervisor import StateServer
from training.report import print_report

REPLICAS, ITEMS, BUDGET, PAGE = 4, 100, 60, 4
HELD_MS = 1_500  # instead of 30 minutes: the run is to see many releases
KEPT_MS = 3_600_000
LOST, LATE, TWICE = 0.3, 0.1, 0.1  # of impressions
CRASH_EVERY_S, LOOK_EVERY_S = 3.0, 0.02
SEEN = "benchmark:seen"  # item -> impressions that were told, each once


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass
class Observer:
    """Who reads the ladder while it is used.

    Attributes:
        looks: atomic reads of all items. above: items found above budget.
        crashes: replicas killed.
    """

    ladder: ExposureLadder
    items: list[str]
    looks: int = 0
    above: int = 0
    crashes: int = 0

    async def confirmed(self) -> int:
        """Look at every item once; return the impressions confirmed in all."""
        rungs = await self.ladder.rungs(self.items, now_ms())
        self.looks += 1
        self.above += sum(rung.confirmed + rung.held > rung.budget for rung in rungs)
        return sum(rung.confirmed for rung in rungs)


async def replica(url: str, seed: int, lossless: bool) -> None:
    """Serve pages and tell impressions until killed."""
    client: Redis = Redis.from_url(url)
    pages, chance = Pages(client, StreamLimits(held_ms=HELD_MS)), random.Random(seed)
    number = 0
    while True:
        number += 1
        request = f"{seed}-{number}"
        items = [f"i{n}" for n in chance.sample(range(ITEMS), 2 * PAGE)]
        candidates = [Candidate(item, "c", b"{}", True) for item in items]
        draft = PageDraft(request, f"u{request}", "CN", "all", PAGE, b"{}", candidates)
        done = await pages.commit(draft, now_ms())
        seen = [Impression(f"u{request}", items[n], request) for n in done.kept]
        await tell(client, pages, seen if lossless else lossy(seen, chance), chance, lossless)


def lossy(seen: list[Impression], chance: random.Random) -> list[Impression]:
    """What arrives of them, some twice."""
    arrived = [one for one in seen if chance.random() >= LOST]
    return arrived + [one for one in arrived if chance.random() < TWICE]


async def tell(
    client: Any, pages: Pages, seen: list[Impression], chance: random.Random, lossless: bool
) -> None:
    """Send impressions, at times only after they were released."""
    if seen and not lossless and chance.random() < LATE:
        await asyncio.sleep(chance.uniform(0.5, 1.5) * HELD_MS / 1000)
    for one in dict.fromkeys(seen):
        await client.hincrby(SEEN, one.item_id, 1)  # first: what is confirmed was told before
    await pages.note(seen, now_ms())


@contextmanager
def replicas(url: str, seed: int, lossless: bool) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that serve; those alive at the end are ended."""
    running = [started(url, seed + n, lossless) for n in range(REPLICAS)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def started(url: str, seed: int, lossless: bool) -> subprocess.Popen[bytes]:
    """One replica."""
    line = [sys.executable, "-m", "tests.benchmarks.exposure_budget", "--replica", url]
    return subprocess.Popen([*line, "--seed", str(seed)] + (["--lossless"] if lossless else []))


async def measure(url: str, seconds: float, seed: int) -> dict[str, float]:
    """Run both phases and return the figures."""
    client: Any = Redis.from_url(url)
    items = [f"i{n}" for n in range(ITEMS)]
    observer = Observer(ExposureLadder(client, KEPT_MS), items)
    await client.set(SEQUENCE, 1)
    for item in items:
        await observer.ladder.open(item, "c", BUDGET, now_ms())
    with replicas(url, 1_000, lossless=False) as running:
        await fire(url, running, observer, seconds, random.Random(seed))
    under_fire = await observer.confirmed()
    await asyncio.sleep(HELD_MS / 1000)
    with replicas(url, 900_000, lossless=True):
        deadline = time.monotonic() + 2 * seconds
        while time.monotonic() < deadline and await observer.confirmed() < ITEMS * BUDGET:
            await asyncio.sleep(LOOK_EVERY_S)
    rungs = await observer.ladder.rungs(items, now_ms())
    told = {k.decode(): int(v) for k, v in (await client.hgetall(SEEN)).items()}
    await client.aclose()
    return {
        "looks": observer.looks,
        "crashes": observer.crashes,
        "above_budget": observer.above,
        "confirmed_under_fire": under_fire,
        "confirmed_never_seen": sum(r.confirmed > told.get(r.item_id, 0) for r in rungs),
        "most_of_budget": max(rung.confirmed / rung.budget for rung in rungs),
        "under_use": 1 - sum(rung.confirmed for rung in rungs) / (ITEMS * BUDGET),
        "worst_under_use": 1 - min(rung.confirmed / rung.budget for rung in rungs),
    }


async def fire(
    url: str,
    running: list[subprocess.Popen[bytes]],
    observer: Observer,
    seconds: float,
    chance: random.Random,
) -> None:
    """Kill replicas at random moments, and look in between."""
    end = time.monotonic() + seconds
    crash = time.monotonic() + CRASH_EVERY_S
    while time.monotonic() < end:
        await observer.confirmed()
        if time.monotonic() > crash:
            place = chance.randrange(len(running))
            running[place].send_signal(signal.SIGKILL)
            running[place].wait()
            observer.crashes += 1
            running[place] = started(url, 1_000 + REPLICAS + observer.crashes, lossless=False)
            crash = time.monotonic() + CRASH_EVERY_S * chance.uniform(0.5, 1.5)
        await asyncio.sleep(LOOK_EVERY_S)


def main() -> None:
    """Run and print one JSON object."""
    line = argparse.ArgumentParser(prog="tests.benchmarks.exposure_budget")
    line.add_argument("--seconds", type=float, default=20.0, help="of losses and crashes")
    line.add_argument("--seed", type=int, default=0)
    line.add_argument("--replica", metavar="URL", help=argparse.SUPPRESS)
    line.add_argument("--lossless", action="store_true", help=argparse.SUPPRESS)
    chosen = line.parse_args()
    if chosen.replica:
        asyncio.run(replica(chosen.replica, chosen.seed, chosen.lossless))
        return
    with tempfile.TemporaryDirectory() as folder:
        server = StateServer(Path(folder), fsync="everysec")
        server.start()
        try:
            figures = asyncio.run(measure(server.url, chosen.seconds, chosen.seed))
        finally:
            server.stop()
    bars = {
        "never above budget": figures["above_budget"] == 0 and figures["most_of_budget"] <= 1,
        "nothing confirmed that was not seen": figures["confirmed_never_seen"] == 0,
        "under-use <= 10 % after releases": figures["under_use"] <= 0.1,
        "replicas crashed": figures["crashes"] > 0,
    }
    print_report("exposure_budget", figures=figures, bars=bars, seed=chosen.seed)


if __name__ == "__main__":
    main()
