"""The ranker alone, in process: 500 of 100,000 items for users with 200 recent events.

``python -m tests.benchmarks.ranker_core``
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from embeddings.feed_model import FeedModel, load_feed_model
from embeddings.ranker_model import Ranker
from models.bundle import current
from models.features import ACTION_CODES, History, batch_histories
from models.ranking_features import ItemCounters, RankingContext
from models.tasks import TASKS
from tests.benchmarks.bundles import publish_large_bundle
from tests.ranked_bundles import add_ranker
from training.report import print_report

K, EVENTS, WARM_UP = 500, 200, 50
NOW_MS = 1_750_000_000_000
PAUSE_S = 0.001
ACTIONS = [ACTION_CODES[name] for name in ("play", "long_view", "like", "skip")]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.ranker_core", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundles = publish_large_bundle(Path(folder), options.items, seed=options.seed)
        add_ranker(current(bundles, "feed"), Path(folder) / "ranked", options.seed)
        model = load_feed_model(Path(folder) / "ranked")
        assert model.ranker is not None
        with threadpool_limits(1):  # as replicas run: side by side, one core each
            took_ms = measured(model, model.ranker, options.requests, options.seed)
    figures = {
        "p50_ms": float(np.percentile(took_ms, 50)),
        "p99_ms": float(np.percentile(took_ms, 99)),
        "requests": len(took_ms),
        "candidates": K,
        "items": options.items,
    }
    bars = {"p50 <= 1.2 ms": figures["p50_ms"] <= 1.2}
    print_report("ranker_core", figures=figures, bars=bars, seed=options.seed)


def measured(model: FeedModel, ranker: Ranker, requests: int, seed: int) -> list[float]:
    """Milliseconds of each prediction after a warm-up; the process sleeps in between."""
    random = np.random.default_rng(seed)
    counters = random_counters(len(model.vocabulary), random)
    took_ms = []
    for n in range(requests + WARM_UP):
        context = random_context(model, counters, random)
        rows = random.choice(len(model.vocabulary), K, replace=False)
        time.sleep(PAUSE_S)
        started = time.perf_counter()
        predictions = ranker.predict(context, rows)
        if n >= WARM_UP:
            took_ms.append((time.perf_counter() - started) * 1000)
        assert np.isfinite(predictions[:, 0]).all()
    return took_ms


def random_counters(items: int, random: np.random.Generator) -> ItemCounters:
    """Counters of a catalogue that has been served for a while."""
    impressions = (100 * random.pareto(1.0, items)).astype(np.float32)
    shares = random.random((items, len(TASKS)), np.float32) / np.float32(3)
    reactions = impressions[:, None] * shares
    published_at_ms = np.full(items, NOW_MS - 86_400_000, np.int64)
    return ItemCounters(impressions, np.asarray(reactions, np.float32), published_at_ms)


def random_context(
    model: FeedModel, counters: ItemCounters, random: np.random.Generator
) -> RankingContext:
    """A user with `EVENTS` events on items of whom some come back."""
    history = History(
        (len(model.vocabulary) * random.random(EVENTS) ** 3).astype(np.int64),
        random.choice(ACTIONS, EVENTS),
        random.random(EVENTS, np.float32),
        np.sort(random.random(EVENTS, np.float32)) * 86_400,
    )
    length = model.manifest.dimensions["history_length"]
    interests = model.interests(batch_histories([history], length))[0]
    return RankingContext(interests, history, NOW_MS, 20.0, None, counters)


if __name__ == "__main__":
    main()
