"""Events a second through the append script alone: batches of 500, each on disk before its answer.

python -m tests.benchmarks.event_script
"""

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from redis.asyncio import Redis

from serving.live.event_stream import EventStream, LoggedEvent, StreamLimits, logged_event
from serving.live.supervisor import StateServer
from training.report import print_report

SEED = 7
NOW_MS = 1_800_000_000_000
TYPES = ("impression", "impression", "impression", "play", "play", "complete", "like", "skip")
BAR_EVENTS_PER_S = 10_000


def random_event(name: str, chance: random.Random) -> LoggedEvent:
    """A random event of a typical size, about 300 bytes."""
    user, item = f"user-{chance.randrange(100_000)}", f"item-{chance.randrange(50_000)}"
    event = {
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
    return logged_event(event, "CN")


async def measure(url: str, total: int, batch: int, clients: int) -> dict[str, float]:
    """Send `total` events in batches over several connections."""
    chance = random.Random(SEED)
    events = [random_event(f"event-{n:010d}", chance) for n in range(total)]
    batches = [events[n : n + batch] for n in range(0, total, batch)]
    client = Redis.from_url(url, max_connections=clients)
    stream, latencies_ms = EventStream(client, StreamLimits()), list[float]()

    async def send() -> None:
        while batches:
            started = time.perf_counter()
            await stream.append(batches.pop(), NOW_MS)
            latencies_ms.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(clients)))
    elapsed_s = time.perf_counter() - started
    memory = await client.info("memory")
    await client.aclose()
    latencies_ms.sort()
    return {
        "events_per_s": total / elapsed_s,
        "batch_p50_ms": latencies_ms[len(latencies_ms) // 2],
        "batch_p99_ms": latencies_ms[int(len(latencies_ms) * 0.99)],
        "bytes_per_event": memory["used_memory"] / total,
    }


def main() -> None:
    """Run it and print one report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".event-script-") as folder:
        server = StateServer(Path(folder))
        server.start()
        try:
            run = measure(server.url, arguments.events, arguments.batch, arguments.clients)
            figures = asyncio.run(run)
        finally:
            server.stop()
    bar = {f"events_per_s >= {BAR_EVENTS_PER_S}": figures["events_per_s"] >= BAR_EVENTS_PER_S}
    if not print_report("event_script", figures=figures, bars=bar, seed=SEED):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
