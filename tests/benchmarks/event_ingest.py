"""Events a second over HTTP, durable: batches of 500 to one server, then a count in the archive.

``python -m tests.benchmarks.event_ingest`` runs the launcher with everything embedded.
"""

import argparse
import json
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import publish
from tests.benchmarks.calls import Caller
from tests.benchmarks.event_script import random_event
from tests.e2e.server import Server, running
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

BATCH = 500
BAR_EVENTS_PER_S = 10_000
ARCHIVE_LIMIT_S = 120


def main() -> None:
    """Send, wait for the archive, report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.event_ingest", description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    bodies = batches(options.events, options.seed)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".event-ingest-") as text:
        folder = Path(text)
        make_feed_bundle(folder / "made", 200, seed=1)
        publish(folder / "made", folder / "bundles", "feed")
        with running("uvicorn", folder / "bundles", folder / "server") as server:
            figures = sent(server.port, bodies, options.clients)
            figures["archived"] = archived(server, len(bodies) * BATCH)
    figures["lost"] = len(bodies) * BATCH - figures["archived"]
    bars = {
        f"events_per_s >= {BAR_EVENTS_PER_S}": figures["events_per_s"] >= BAR_EVENTS_PER_S,
        "every batch was taken": figures["refused"] == 0,
        "every event is archived once": figures["lost"] == 0,
    }
    print_report("event_ingest", figures=figures, bars=bars, seed=options.seed)


def batches(events: int, seed: int) -> list[bytes]:
    """Bodies of 500 events each, typical of people who watch."""
    chance = random.Random(seed)
    now_ms = int(time.time() * 1000)
    rows = [random_event(f"event-{n:010d}", chance) | {"time": now_ms} for n in range(events)]
    return [json.dumps({"events": rows[n : n + BATCH]}).encode() for n in range(0, events, BATCH)]


def sent(port: int, bodies: list[bytes], clients: int) -> dict[str, Any]:
    """Send every body once over so many connections."""
    waiting, statuses, latency_ms = list(bodies), list[int](), list[float]()

    def send() -> None:
        caller = Caller(port)
        while True:
            try:
                body = waiting.pop()
            except IndexError:
                break
            started = time.perf_counter()
            statuses.append(caller.post("/v1/events", body)[0])
            latency_ms.append((time.perf_counter() - started) * 1000)
        caller.close()

    threads = [threading.Thread(target=send) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - started
    return {
        "events_per_s": statuses.count(202) * BATCH / elapsed_s,
        "batch_p50_ms": float(np.percentile(latency_ms, 50)),
        "batch_p99_ms": float(np.percentile(latency_ms, 99)),
        "refused": len(statuses) - statuses.count(202),
    }


def archived(server: Server, expected: int) -> int:
    """Number of different archived events; -1 if any stands there twice."""
    deadline = time.monotonic() + ARCHIVE_LIMIT_S
    while True:
        ids = [row["event_id"] for row in server.archived("events")]
        if len(ids) != len(set(ids)):
            return -1
        if len(ids) >= expected or time.monotonic() > deadline:
            return len(ids)
        time.sleep(1)


if __name__ == "__main__":
    main()
