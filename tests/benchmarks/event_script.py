"""Events a second through the scripts alone: batches of 500, each on disk before its answer.

python -m tests.benchmarks.event_script
"""

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from redis import Redis as SyncRedis
from redis.asyncio import Redis

from serving.live.event_stream import EventStream, StreamLimits, logged_event
from serving.live.pages import Impression, Pages
from serving.live.supervisor import StateServer
from training.report import print_report

SEED = 7
NOW_MS = 1_800_000_000_000
TYPES = ("impression", "impression", "impression", "play", "play", "complete", "like", "skip")
BAR_EVENTS_PER_S = 10_000
Figures = dict[str, float]


def random_event(name: str, chance: random.Random) -> dict[str, Any]:
    """A random event of a typical size, about 300 bytes."""
    user, item = f"user-{chance.randrange(100_000)}", f"item-{chance.randrange(50_000)}"
    return {
        "event_id": name,
        "user_id": user,
        "item_id": item,
        "type": chance.choice(TYPES),
        "time": NOW_MS,
        "request_id": f"request-{chance.randrange(10**9)}",
        "position": chance.randrange(50),
        "watch_ms": chance.randrange(60_000),
        "session_id": f"session-{chance.randrange(10**6)}",
        "device_id": f"device-{chance.randrange(10**6)}",
    }


async def measure(log_url: str, live_url: str, events: int, batch: int, clients: int) -> Figures:
    """Send events in batches over several connections, as the events route does."""
    chance = random.Random(SEED)
    sent = [random_event(f"event-{n:010d}", chance) for n in range(events)]
    batches = [sent[n : n + batch] for n in range(0, events, batch)]
    log, live = Redis.from_url(log_url), Redis.from_url(live_url)
    stream, pages = EventStream(log, StreamLimits()), Pages(live, StreamLimits())
    latencies_ms = list[float]()

    async def send() -> None:
        while batches:
            rows = batches.pop()
            started = time.perf_counter()
            await stream.append([logged_event(row, "CN") for row in rows], NOW_MS)
            await pages.note(impressions_of(rows), NOW_MS)
            latencies_ms.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(clients)))
    elapsed_s = time.perf_counter() - started
    memory = await log.info("memory")
    await log.aclose()
    await live.aclose()
    latencies_ms.sort()
    return {
        "events_per_s": events / elapsed_s,
        "batch_p50_ms": latencies_ms[len(latencies_ms) // 2],
        "batch_p99_ms": latencies_ms[int(len(latencies_ms) * 0.99)],
        "log_bytes_per_event": memory["used_memory"] / events,
    }


def impressions_of(rows: list[dict[str, Any]]) -> list[Impression]:
    """What was seen, among events."""
    seen = (row for row in rows if row["type"] == "impression")
    return [Impression(row["user_id"], row["item_id"], row["request_id"]) for row in seen]


def main() -> None:
    """Run it with one synced server, and with a second, unsynced one for what is derived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--clients", type=int, default=4)
    options = vars(parser.parse_args())
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".event-script-") as folder:
        log, live = StateServer(Path(folder) / "log"), StateServer(Path(folder) / "live")
        log.start()
        live.start()
        try:
            SyncRedis.from_url(live.url).config_set("appendfsync", "everysec")
            for name, url in (("two servers", live.url), ("one server", log.url)):
                SyncRedis.from_url(log.url).flushall()
                figures = asyncio.run(measure(log.url, url, **options))
                rows.append({"topology": name, **figures})
        finally:
            log.stop()
            live.stop()
    slowest = min(row["events_per_s"] for row in rows)
    bars = {f"events_per_s >= {BAR_EVENTS_PER_S}": slowest >= BAR_EVENTS_PER_S}
    if not print_report("event_script", rows=rows, bars=bars, seed=SEED):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
