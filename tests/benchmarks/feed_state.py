"""What live state costs a feed: the same app in process, over memory and over two state servers.

``python -m tests.benchmarks.feed_state`` asks the ASGI app without a socket, by turns.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from models.bundle import publish
from serving.app import Settings, build, read_settings
from serving.live.online_state import OnlineState
from serving.live.pages import SEQUENCE
from serving.live.redis_state import RedisState
from serving.live.supervisor import StateServer
from serving.stores import migrate
from tests.benchmarks.calls import event
from tests.feed_bundles import make_feed_bundle
from tests.memory_state import MemoryState
from training.report import print_report

BAR_MS = 1.5
USERS, WARM_UP, EVENTS = 50, 100, 40
K = 20
PAUSE_S = 0.005  # a process that never rests is put behind its neighbours by the scheduler


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.feed_state", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".feed-state-") as text:
        folder = Path(text)
        settings = settings_in(folder, options.items)
        log, live = StateServer(folder / "log"), StateServer(folder / "live", fsync="everysec")
        log.start()
        live.start()
        try:
            with threadpool_limits(1):  # as replicas run: side by side, one core each
                figures = uvloop.run(measured(settings, log.url, live.url, options.requests))
        finally:
            log.stop()
            live.stop()
    figures["more_ms"] = figures["state_p50_ms"] - figures["memory_p50_ms"]
    bars = {f"p50 with live state <= {BAR_MS} ms more": figures["more_ms"] <= BAR_MS}
    print_report("feed_state", figures=figures, bars=bars, seed=1)


def settings_in(folder: Path, items: int) -> Settings:
    """The repository's settings over a bundle and records of this folder."""
    make_feed_bundle(folder / "made", items, seed=1)
    publish(folder / "made", folder / "bundles", "feed")
    environ = {
        "TIDEGATE__BUNDLES": str(folder / "bundles"),
        "TIDEGATE__LOG__FOLDER": str(folder / "access"),
        "TIDEGATE__RECORDS__FOLDER": str(folder / "records"),
        "TIDEGATE__RECORDS__SECRETS": str(folder / "secrets"),
    }
    settings = read_settings(Path("configs/serving.yaml"), environ)
    migrate(settings.serving.records)
    return settings


async def measured(
    settings: Settings, log_url: str, live_url: str, requests: int
) -> dict[str, float]:
    """Median and p99 of a feed over both states, asked by turns."""
    state = RedisState(log_url, live_url, 1.0, 2.0)
    await state._live.execute_command("SET", SEQUENCE, 0)  # an empty copy of visibility
    states: dict[str, OnlineState] = {"memory": MemoryState(), "state": state}
    apps = {name: app_over(settings, name, one) for name, one in states.items()}
    latency_ms: dict[str, list[float]] = {name: [] for name in apps}
    cpu_ms: dict[str, list[float]] = {name: [] for name in apps}
    for app in apps.values():
        await told(app)
    for n in range(requests + WARM_UP):
        for name, app in apps.items():
            await asyncio.sleep(PAUSE_S)
            started, cpu = time.perf_counter(), time.process_time()
            answer = await posted(app, "/v1/feed", {"user_id": f"user-{n % USERS}", "k": K})
            latency_ms[name].append((time.perf_counter() - started) * 1000)
            cpu_ms[name].append((time.process_time() - cpu) * 1000)
            if answer["degraded"] or len(answer["items"]) != K:
                raise SystemExit(f"{name}: {answer['degraded']}, {len(answer['items'])} items")
    for app in apps.values():
        app.state.services.stores.close()
    await state.close()
    figures = {
        f"{name}_p{q}_ms": float(np.percentile(of[WARM_UP:], q))
        for name, of in latency_ms.items()
        for q in (50, 99)
    }
    return figures | {f"{name}_cpu_p50_ms": float(np.median(of)) for name, of in cpu_ms.items()}


def app_over(settings: Settings, name: str, state: OnlineState) -> FastAPI:
    """The app whose mirror is trusted without a lease."""
    app = build(settings, state, process=name)
    app.state.services.mirror.replace(0, {})
    app.state.services.mirror.renew(float("inf"))
    return app


async def told(app: FastAPI) -> None:
    """Every user has liked some items."""
    now_ms = int(time.time() * 1000)
    for user in range(USERS):
        rows = [event(f"user-{user}", f"item-{user * 97 + n}", now_ms) for n in range(EVENTS)]
        await posted(app, "/v1/events", {"events": rows})


async def posted(app: FastAPI, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask the app as a server would."""
    sent: list[dict[str, Any]] = []
    content = json.dumps(body).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": [], "http_version": "1.1", "scheme": "http"}
    await asyncio.wait_for(app(scope, receive, send), 10)
    answer: dict[str, Any] = json.loads(sent[-1]["body"])
    return answer


if __name__ == "__main__":
    main()
