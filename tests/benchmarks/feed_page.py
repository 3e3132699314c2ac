"""The whole of ``/v1/feed`` in process, without a socket: 100,000 items, 200 recent events, ranker.

``python -m tests.benchmarks.feed_page`` calls the app as its server would, by the rules of the
repository; the state is kept in the process.
"""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from models.bundle import current, publish
from serving.app import Settings, build, read_settings
from serving.live.event_stream import LoggedEvent
from serving.stores import migrate
from tests.benchmarks.bundles import ITEMS, publish_large_bundle
from tests.benchmarks.feed_core import EVENTS, TYPES
from tests.memory_state import MemoryState
from tests.ranked_bundles import add_ranker
from training.report import print_report

K, USERS, WARM_UP = 20, 200, 50
CONFIG = Path("configs/serving.yaml")
PAUSE_S = 0.001


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.feed_page", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(Path(folder), options.items, options.seed)
        load_before = os.getloadavg()[0]
        with threadpool_limits(1):  # as replicas run: side by side, one core each
            took_ms = asyncio.run(measured(settings, options.requests, options.seed))
        log = (settings.serving.log.folder / "benchmark.jsonl").read_text()
    figures = {
        "p50_ms": float(np.percentile(took_ms, 50)),
        "p99_ms": float(np.percentile(took_ms, 99)),
        "requests": len(took_ms),
        "items": options.items,
        "load_before": load_before,
        **{f"{stage}_p50_ms": ms for stage, ms in stage_medians(log).items()},
    }
    bars = {"p50 <= 6 ms": figures["p50_ms"] <= 6, "p99 <= 15 ms": figures["p99_ms"] <= 15}
    print_report("feed_page", figures=figures, bars=bars, seed=options.seed)


def stage_medians(log: str) -> dict[str, float]:
    """Median milliseconds of each stage, by the access log."""
    stages: dict[str, list[float]] = {}
    for line in log.splitlines():
        for stage, ms in orjson.loads(line)["stages"].items():
            stages.setdefault(stage, []).append(ms)
    return {stage: float(np.median(values)) for stage, values in stages.items()}


def settings_in(folder: Path, items: int, seed: int) -> Settings:
    """The repository's configuration over an invented bundle with a ranker; data under `folder`."""
    made = publish_large_bundle(folder, items, seed)
    add_ranker(current(made, "feed"), folder / "ranked", seed)
    publish(folder / "ranked", folder / "published", "feed")
    environ = {
        "TIDEGATE__BUNDLES": str(folder / "published"),
        "TIDEGATE__BUDGETS": "{sources_ms: 1e6, ranker_ms: 1e6, selectors_ms: 1e6}",
        "TIDEGATE__LOG__FOLDER": str(folder / "log"),
        "TIDEGATE__RECORDS__FOLDER": str(folder / "records"),
        "TIDEGATE__RECORDS__SECRETS": str(folder / "secrets"),
        "TIDEGATE__MEDIA__FOLDER": str(folder / "media"),
    }
    settings = read_settings(CONFIG, environ)
    migrate(settings.serving.records)
    return settings


async def measured(settings: Settings, requests: int, seed: int) -> list[float]:
    """Milliseconds of each answer, after a warm-up."""
    state = MemoryState()
    app = build(settings, state, process="benchmark")
    services = app.state.services
    services.mirror.replace(0, {})
    services.mirror.renew(float("inf"))  # no lease is kept here
    items = len(services.bundle.engine.model.vocabulary)
    random = np.random.default_rng(seed)
    for user in range(USERS):
        await state.append(behaviour(f"user-{user}", items, random), (), services.clock_ms())
    took_ms: list[float] = []
    async with app.router.lifespan_context(app):
        for n in range(requests + WARM_UP):
            await asyncio.sleep(PAUSE_S)
            asking = f"user-{random.integers(USERS)}"
            body = orjson.dumps({"user_id": asking, "k": K, "context": {"region": "CN"}})
            started = time.perf_counter()
            answer = await called(app, body)
            ms = (time.perf_counter() - started) * 1000
            page = orjson.loads(answer)
            assert (len(page["items"]), page["degraded"]) == (K, []), page
            if n >= WARM_UP:
                took_ms.append(ms)
    return took_ms


def behaviour(user_id: str, items: int, random: np.random.Generator) -> list[LoggedEvent]:
    """`EVENTS` things that a user did with items drawn like a popular catalogue's."""
    rows = (items * random.random(EVENTS) ** 3).astype(int).tolist()
    now_ms = time.time_ns() // 1_000_000
    return [
        LoggedEvent(
            f"{user_id}-{n}",
            user_id,
            b"{}",
            orjson.dumps([f"item-{row}", TYPES[n % len(TYPES)], now_ms - n * 60_000, 9_000.0]),
        )
        for n, row in enumerate(rows)
    ]


async def called(app: FastAPI, body: bytes) -> bytes:
    """Content of the answer to one POST of the feed."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/feed",
        "raw_path": b"/v1/feed",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "root_path": "",
    }
    content = bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        content.extend(message.get("body", b""))
        assert message.get("status", 200) == 200, message

    await app(scope, receive, send)
    return bytes(content)


if __name__ == "__main__":
    main()
