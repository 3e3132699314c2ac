"""What live state adds to one feed answer: reading a user, and committing a page of 50.

python -m tests.benchmarks.page_script
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from redis import Redis as SyncRedis
from redis.asyncio import Redis

from serving.live.event_stream import StreamLimits
from serving.live.mirror import encode_rows
from serving.live.pages import SEQUENCE, VISIBILITY, Candidate, PageDraft, Pages
from serving.live.supervisor import StateServer
from serving.records.status import EVERYONE, StatusRow
from training.report import print_report

SEED = 7
NOW_MS = 1_800_000_000_000
PAGE, SPARE, ITEMS, HIDDEN = 50, 10, 100_000, 10_000
BAR_MS = 1.5


async def filled(client: Redis) -> Pages:
    """A state in which one item of ten is hidden."""
    rows = (StatusRow(f"item:{n}", EVERYONE, "hidden", True, 1, n + 1) for n in range(HIDDEN))
    await client.hset(VISIBILITY, mapping={row.subject: encode_rows([row]) for row in rows})
    await client.set(SEQUENCE, HIDDEN)
    return Pages(client, StreamLimits())


def random_draft(number: int, chance: random.Random) -> PageDraft:
    """A page of random items, one slot of ten spent on exposure."""
    candidates = [
        Candidate(str(item), f"creator-{item % 5_000}", b'{"source":"interest","propensity":0.1}')
        for item in chance.sample(range(ITEMS), PAGE + SPARE)
    ]
    user = f"user-{chance.randrange(10_000)}"
    return PageDraft(f"r{number}", user, "CN", "all", PAGE, b'{"request_id":"r"}', candidates)


async def measure(url: str, pages: int) -> dict[str, float]:
    """One client, one page after the other: milliseconds of read and of commit."""
    client: Redis = Redis.from_url(url)
    live, chance = await filled(client), random.Random(SEED)
    read_ms, commit_ms = list[float](), list[float]()
    for n in range(pages):
        draft = random_draft(n, chance)
        started = time.perf_counter()
        await client.zrangebyscore(f"shown:{draft.user_id}", f"({NOW_MS}", "+inf")
        between = time.perf_counter()
        await live.commit(draft, NOW_MS)
        read_ms.append((between - started) * 1000)
        commit_ms.append((time.perf_counter() - between) * 1000)
    await client.aclose()
    read_ms.sort()
    commit_ms.sort()
    return {
        "read_p50_ms": read_ms[pages // 2],
        "commit_p50_ms": commit_ms[pages // 2],
        "commit_p99_ms": commit_ms[int(pages * 0.99)],
    }


def sync_ms(path: Path) -> float:
    """Median milliseconds of writing 4 kB durably: what `appendfsync always` adds on this disk."""
    times_ms = []
    with path.open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times_ms.append((time.perf_counter() - started) * 1000)
    return sorted(times_ms)[50]


def main() -> None:
    """Run it with the log synced every second, and with every write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2_000)
    pages = parser.parse_args().pages
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".page-script-") as folder:
        server = StateServer(Path(folder))
        server.start()
        try:
            disk_ms = sync_ms(Path(folder) / "probe")
            for sync in ("everysec", "always"):
                SyncRedis.from_url(server.url).config_set("appendfsync", sync)
                figures = asyncio.run(measure(server.url, pages))
                rows.append({"appendfsync": sync, **figures, "fdatasync_p50_ms": disk_ms})
        finally:
            server.stop()
    added_ms = rows[0]["read_p50_ms"] + rows[0]["commit_p50_ms"]
    bars = {f"read and commit p50 <= {BAR_MS} ms with everysec": added_ms <= BAR_MS}
    if not print_report("page_script", rows=rows, bars=bars, seed=SEED):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
