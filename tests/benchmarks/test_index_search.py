"""The benchmark runs, on a small scale, and prints what it promises."""

import json

import numpy as np
import pytest

from embeddings.feed_model import FeedModel, load_feed_model
from tests.benchmarks.index_search import (
    DIMENSIONS,
    narrowed,
    popularity_coordinate,
    report,
    simulated_histories,
    tiled,
)
from tests.feed_bundles import make_feed_bundle


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> FeedModel:
    folder = tmp_path_factory.mktemp("bundles") / "feed"
    make_feed_bundle(folder, items=300, dimensions=DIMENSIONS + 6)
    return load_feed_model(folder)


def test_one_json_object_on_the_last_line(
    model: FeedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    report(model, items=21_000, seed=0)
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["name"] == "index_search"
    assert printed["figures"]["index"] == "ivf_sq8"
    assert printed["bars"]["recall@500 >= 0.95"]
    assert {"p50_ms", "p99_ms", "build_s", "nprobe"} <= printed["figures"].keys()


def test_narrowing_keeps_popularity_and_most_of_the_scores(model: FeedModel) -> None:
    random = np.random.default_rng(0)
    queries = model.interests(simulated_histories(model, 50, random))[:, 0]
    items, narrow, words = narrowed(model, queries)
    assert items.shape[1] == narrow.shape[1] == DIMENSIONS
    assert popularity_coordinate(model.retrieval_vectors, model.popularity) == DIMENSIONS + 6
    before, after = queries @ model.retrieval_vectors.T, narrow @ items.T
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.95
    assert words.startswith("71 dimensions")


def test_copies_move_about_as_far_as_neighbours_are(model: FeedModel) -> None:
    vectors = np.asarray(model.retrieval_vectors)
    copies = tiled(vectors, 900, np.random.default_rng(0))
    moved = np.linalg.norm(copies - np.tile(vectors, (3, 1)), axis=1).mean()
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    nearest = np.median(np.sort(distances, axis=1)[:, 1])
    assert 0.8 * nearest < moved < 1.2 * nearest
