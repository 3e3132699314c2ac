"""FAISS against exact search: real tower outputs tiled to a million items, 500 results.

``python -m tests.benchmarks.index_search --bundle BUNDLE --data FOLDER``

Without ``--bundle``, a model is trained on the simulator first. Its item vectors are repeated
with noise until there are `--items`: a copy lies as far from its original as the original from its
nearest neighbour, so that copies fill the space between items and form no islands. Queries are
what the user tower answers to the histories of the dataset's users, or of simulated ones if the
dataset is not given; those that shape and tune the index are not those that are measured.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from embeddings.feed_model import FeedModel, load_feed_model
from embeddings.index import ItemIndex, exact_search, recall
from embeddings.index_training import build_index
from models.arrays import Mask, Rows, Vectors
from models.features import ACTION_CODES, HistoryBatch, batch_histories
from training.datasets.load import load_dataset
from training.log import encode, histories
from training.report import print_report

K = 500
DIMENSIONS = 64
SAMPLE_QUERIES = 4_000
MEASURED_QUERIES = 200
WARM_UP = 20
TASTE = 50  # nearest items that a simulated user may like


def main() -> None:
    """Measure and report."""
    line = argparse.ArgumentParser(prog="tests.benchmarks.index_search", description=__doc__)
    line.add_argument("--bundle", type=Path, help="a trained feed bundle")
    line.add_argument("--data", type=Path, help="the folder of the dataset it was trained on")
    line.add_argument("--items", type=int, default=1_000_000)
    line.add_argument("--seed", type=int, default=0)
    options = line.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = options.bundle or trained_on_simulator(Path(folder) / "bundle", options.seed)
        report(load_feed_model(bundle), options.data, options.items, options.seed)


def trained_on_simulator(out: Path, seed: int) -> Path:
    """Train a small model by the recipe, its progress on stderr."""
    recipe = [sys.executable, "-m", "training.train_two_tower", "--dataset", "simulator"]
    command = [*recipe, "--out", str(out), "--seed", str(seed)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return out


def report(model: FeedModel, data: Path | None, items: int, seed: int) -> None:
    """Build, search and print."""
    random = np.random.default_rng(seed)
    users, whose = histories_of(model, data, SAMPLE_QUERIES + MEASURED_QUERIES, random)
    original, queries, shape = narrowed(model, model.interests(users)[:, 0])
    vectors = tiled(original, items, random)
    started = time.perf_counter()
    index, facts = build_index(vectors, queries[:-MEASURED_QUERIES], seed=seed)
    build_s = time.perf_counter() - started
    measured = queries[-MEASURED_QUERIES:]
    found, wall_ms, cpu_ms = searched(index, measured)
    expected = exact_search(vectors, measured, K, None)[0]
    reached = recall(found, expected)
    allowed = random.random(items) < 0.5
    of_half, half_ms, _ = searched(index, measured, allowed)
    figures = {
        "recall@500": reached,
        "recall@50": recall(found[:, :50], expected[:, :50]),
        "p50_ms": float(np.percentile(wall_ms, 50)),
        "p99_ms": float(np.percentile(wall_ms, 99)),
        "cpu_mean_ms": float(cpu_ms.mean()),
        "recall@500_of_half": recall(of_half, exact_search(vectors, measured, K, allowed)[0]),
        "p50_ms_of_half": float(np.percentile(half_ms, 50)),
        "build_s": build_s,
        "items": items,
        "vectors": shape,
        "queries": whose,
        "bundle": model.version,
        "dataset": model.manifest.data.dataset,
        "index": facts.kind,
        **facts.parameters,
    }
    bars = {
        "recall@500 >= 0.95": reached >= 0.95,
        "p50 <= 2 ms a query": float(np.median(wall_ms)) <= 2,
        "mean processor time <= 2 ms a query": float(cpu_ms.mean()) <= 2,
    }
    print_report("index_search", figures=figures, bars=bars, seed=seed)


def histories_of(
    model: FeedModel, data: Path | None, count: int, random: np.random.Generator
) -> tuple[HistoryBatch, str]:
    """Histories of at most `count` users, and in words whose."""
    dataset, length = model.manifest.data.dataset, model.manifest.dimensions["history_length"]
    if data is None and dataset != "simulator":
        return simulated_histories(model, count, random), "simulated; --data gives real ones"
    interactions = load_dataset(dataset, data, model.manifest.seed)
    if interactions.items["item_id"].to_pylist() != model.items["item_id"].to_pylist():
        raise SystemExit(f"--data {data}: holds other items than the bundle was trained on")
    log = encode(interactions)
    users = random.permutation(np.unique(log.user_rows))[:count]
    return batch_histories(histories(log, users), length), f"{len(users)} users of {dataset}"


def simulated_histories(model: FeedModel, count: int, random: np.random.Generator) -> HistoryBatch:
    """Users who are shown items near their one taste and items of the crowd, and like the former.

    Real users are harder to serve: their interests are less alike.
    """
    length, n = model.manifest.dimensions["history_length"], len(model.vocabulary)
    share = model.popularity.astype(np.float64) + 1e-9
    share /= share.sum()
    tastes = random.choice(n, count, p=share)
    near = exact_search(model.history_table, model.history_table[tastes], min(TASTE, n), None)[0]
    picks = np.take_along_axis(near, random.integers(near.shape[1], size=(count, length)), axis=1)
    tasteful = random.random((count, length)) < 0.5
    rows: Rows = np.where(tasteful, picks, random.choice(n, (count, length), p=share))
    rows[np.arange(length) >= random.integers(1, length + 1, (count, 1))] = -1
    actions = np.where(tasteful, ACTION_CODES["long_view"], ACTION_CODES["impression"])
    watch_ratio = np.where(tasteful, 1, 0.1)
    ages_s = np.sort(random.exponential(86_400, rows.shape), axis=1)
    return HistoryBatch(
        rows=rows,
        actions=np.where(rows < 0, 0, actions),
        watch_ratio=np.where(rows < 0, -1, watch_ratio).astype(np.float32),
        age_s=np.where(rows < 0, 0, ages_s).astype(np.float32),
    )


def narrowed(model: FeedModel, queries: Vectors) -> tuple[Vectors, Vectors, str]:
    """Item vectors and queries in at most `DIMENSIONS`, and in words how they came to be.

    The coordinate that follows the popularity most closely stays; the others are projected onto
    the items' principal axes.
    """
    vectors = np.asarray(model.retrieval_vectors)
    d = vectors.shape[1]
    if d <= DIMENSIONS:
        return vectors, queries, f"{d} dimensions as trained"
    popular = popularity_coordinate(vectors, model.popularity)
    others = np.delete(vectors, popular, axis=1)
    axes = np.linalg.svd(others, full_matrices=False)[2][: DIMENSIONS - 1].T
    narrow_items, narrow_queries = (
        np.hstack([np.delete(array, popular, axis=1) @ axes, array[:, [popular]]])
        for array in (vectors, queries)
    )
    words = f"{d} dimensions: popularity ({popular}) kept, the others by PCA to {DIMENSIONS - 1}"
    return narrow_items, narrow_queries, words


def popularity_coordinate(vectors: Vectors, popularity: Vectors) -> int:
    """The coordinate of the items that goes most closely with the logarithm of popularity."""
    logarithm = np.log1p(popularity)
    centred = vectors - vectors.mean(axis=0)
    likeness = np.abs((logarithm - logarithm.mean()) @ centred)
    return int(np.argmax(likeness / np.maximum(np.linalg.norm(centred, axis=0), 1e-9)))


def tiled(vectors: Vectors, items: int, random: np.random.Generator) -> Vectors:
    """Repeat the vectors with noise that moves each about as far as its nearest neighbour is."""
    sample = vectors[random.permutation(len(vectors))[:1000]]
    squares = (sample**2).sum(axis=1)[:, None] + (vectors**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares - 2 * sample @ vectors.T, 0))
    nearest = np.median(np.partition(distances, 1, axis=1)[:, 1])
    spread = vectors.std(axis=0)
    spread *= nearest / np.linalg.norm(spread)
    noise = random.standard_normal((items, vectors.shape[1]), dtype=np.float32)
    moved: Vectors = vectors[np.arange(items) % len(vectors)] + noise * spread.astype(np.float32)
    return moved


def searched(
    index: ItemIndex, queries: Vectors, allowed: Mask | None = None
) -> tuple[Rows, Vectors, Vectors]:
    """Search one query at a time: rows [B, K], wall and processor time [B] of each in ms."""
    for query in queries[:WARM_UP]:
        index.search(query[None], K, allowed)
    rows, wall_ms, cpu_ms = [], [], []
    for query in queries:
        wall, cpu = time.perf_counter(), time.thread_time()
        rows.append(index.search(query[None], K, allowed)[0])
        wall_ms.append((time.perf_counter() - wall) * 1e3)
        cpu_ms.append((time.thread_time() - cpu) * 1e3)
    return np.concatenate(rows), np.array(wall_ms, np.float32), np.array(cpu_ms, np.float32)


if __name__ == "__main__":
    main()
