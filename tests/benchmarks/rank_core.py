"""Ranker and selectors in process: 500 given candidates of 100,000 items, a page of 20.

``python -m tests.benchmarks.rank_core`` takes the time of these two stages out of whole rankings by
the repository's own rules.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from models.bundle import current
from serving.app import read_settings
from serving.feed.engine import FeedEngine
from serving.feed.rules import FeedRules
from serving.feed_bundle import load_bundle
from tests.benchmarks.bundles import ITEMS, publish_large_bundle
from tests.benchmarks.feed_core import random_requests
from tests.benchmarks.feed_page import CONFIG
from tests.ranked_bundles import add_ranker
from training.report import print_report

CANDIDATES, K, WARM_UP = 500, 20, 50
PAUSE_S = 0.001


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.rank_core", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rules = read_settings(CONFIG, {}).rulebook.rules(None, None, 0).unhurried
    with tempfile.TemporaryDirectory() as folder:
        bundles = publish_large_bundle(Path(folder), options.items, options.seed)
        add_ranker(current(bundles, "feed"), Path(folder) / "ranked", options.seed)
        engine = load_bundle(Path(folder) / "ranked", rules).engine
        load_before = os.getloadavg()[0]
        with threadpool_limits(1):  # as replicas run: side by side, one core each
            stages = measured(engine, rules, options.requests, options.seed)
    both = np.array(stages["scorers"]) + np.array(stages["selectors"])
    figures = {
        "p50_ms": float(np.percentile(both, 50)),
        "p99_ms": float(np.percentile(both, 99)),
        "ranker_p50_ms": float(np.median(stages["scorers"])),
        "selectors_p50_ms": float(np.median(stages["selectors"])),
        "requests": options.requests,
        "candidates": CANDIDATES,
        "load_before": load_before,
    }
    bars = {"p50 <= 2.5 ms": figures["p50_ms"] <= 2.5}
    print_report("rank_core", figures=figures, bars=bars, seed=options.seed)


def measured(
    engine: FeedEngine, rules: FeedRules, requests: int, seed: int
) -> dict[str, list[float]]:
    """Milliseconds by stage, after a warm-up; the process sleeps in between."""
    items = len(engine.model.vocabulary)
    random = np.random.default_rng(seed)
    stages: dict[str, list[float]] = {}
    for n, request in enumerate(random_requests(requests + WARM_UP, items, seed)):
        rows = random.choice(items, CANDIDATES, replace=False).tolist()
        time.sleep(PAUSE_S)
        page = engine.rank(request, [f"item-{row}" for row in rows], rules)
        if n >= WARM_UP:
            for stage, ms in page.stage_ms.items():
                stages.setdefault(stage, []).append(ms)
    return stages


if __name__ == "__main__":
    main()
