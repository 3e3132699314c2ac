"""One page of the feed, in process: 100,000 items, 50 of 500 candidates, 200 recent events.

``python -m tests.benchmarks.feed_core``
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from embeddings.feed_model import KIND
from models.bundle import current
from serving.feed.contracts import Behaviour, FeedRequest
from serving.feed.engine import FeedEngine
from serving.feed.rules import FeedRules
from serving.feed_bundle import load_bundle
from tests.benchmarks.bundles import ITEMS, publish_large_bundle
from training.report import print_report

RULES = FeedRules(
    interest_candidates=500, popular_candidates=100, creator_window=8, creator_limit=2
)
K = 50
EVENTS = 200
TYPES = ("play", "like", "skip", "complete")
NOW_MS = 1_750_000_000_000
WARM_UP = 100
PAUSE_S = 0.001


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.feed_core", description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundles = publish_large_bundle(Path(folder), seed=options.seed)
        engine = load_bundle(current(bundles, KIND), RULES).engine
        requests = random_requests(options.requests + WARM_UP, ITEMS, options.seed)
        load_before = os.getloadavg()[0]
        started_s = time.process_time()
        with threadpool_limits(1):  # as replicas run: side by side, one core each
            core_ms, stages = measured(engine, requests)
        cpu_ms = (time.process_time() - started_s) * 1000 / len(requests)
    figures = {
        "p50_ms": float(np.percentile(core_ms, 50)),
        "p99_ms": float(np.percentile(core_ms, 99)),
        "requests": len(core_ms),
        "items": ITEMS,
        "cpu_mean_ms": cpu_ms,
        "load_before": load_before,
        **{f"{stage}_p50_ms": np.median(values) for stage, values in stages.items()},
    }
    bars = {"p50 <= 4 ms": figures["p50_ms"] <= 4, "p99 <= 10 ms": figures["p99_ms"] <= 10}
    print_report("feed_core", figures=figures, bars=bars, seed=options.seed)


def random_requests(count: int, items: int, seed: int) -> list[FeedRequest]:
    """Users who did EVENTS things with items drawn like a popular catalogue's."""
    random = np.random.default_rng(seed)
    rows = (items * random.random((count, EVENTS)) ** 3).astype(int)
    watch_ms = random.integers(0, 60_000, (count, EVENTS))
    return [
        FeedRequest(
            k=K,
            now_ms=NOW_MS,
            recent=tuple(
                Behaviour(f"item-{row}", TYPES[n % len(TYPES)], NOW_MS - n * 60_000, float(watched))
                for n, (row, watched) in enumerate(zip(rows[user], watch_ms[user], strict=True))
            ),
        )
        for user in range(count)
    ]


def measured(
    engine: FeedEngine, requests: list[FeedRequest], rules: FeedRules = RULES
) -> tuple[list[float], dict[str, list[float]]]:
    """Milliseconds of each page, and of each of its stages, after a warm-up.

    Between two pages the process sleeps, as a server does: one that never waits is what the
    scheduler interrupts first on a machine with other work.
    """
    core_ms: list[float] = []
    stages: dict[str, list[float]] = {}
    for n, request in enumerate(requests):
        time.sleep(PAUSE_S)
        started = time.perf_counter()
        page = engine.feed(request, rules)
        took_ms = (time.perf_counter() - started) * 1000
        assert len(page.items) == request.k
        if n >= WARM_UP:
            core_ms.append(took_ms)
            for stage, ms in page.stage_ms.items():
                stages.setdefault(stage, []).append(ms)
    return core_ms, stages


if __name__ == "__main__":
    main()
