"""The feed model: everything one request needs from one bundle, read-only."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.index import ItemIndex, exact_search, load_index
from embeddings.ranker_model import Ranker, has_ranker, load_ranker, verify_ranker
from embeddings.towers import (
    ITEM_TOWER,
    USER_TOWER,
    feed_dimensions,
    load_item_tower,
    load_user_tower,
    run_item_tower,
    run_user_tower,
)
from embeddings.vocabulary import Vocabulary
from models.arrays import Mask, Rows, Vectors
from models.bundle import MANIFEST, Bundle, BundleError, Manifest, load_array, open_bundle
from models.features import ACTION_CODES, HistoryBatch, history_vectors, item_features

KIND: Literal["feed"] = "feed"
ITEMS = "items.parquet"
HISTORY_VECTORS = "history_vectors.npy"
RETRIEVAL_VECTORS = "retrieval_vectors.npy"
POPULARITY = "popularity.npy"
INDEX = "index.faiss"
GOLDEN = "golden.json"
GOLDEN_K = 20
TOLERANCE = 1e-3  # relative to the largest value; float32 sums differ between processors
INDEX_AGREEMENT = 0.95  # ties and float32 sums may swap an item near the end
HISTORY_FIELDS = {"rows": "i8", "actions": "i8", "watch_ratio": "f4", "age_s": "f4"}


@dataclass(frozen=True)
class FeedModel:
    """One feed bundle, loaded.

    Attributes:
        version: the bundle's. manifest: the bundle's.
        vocabulary: N item ids. items: N item records, in row order.
        index: over `retrieval_vectors`.
        retrieval_vectors: [N, D]. history_table: [N, H].
        popularity: [N] prior, >= 0, higher is more popular.
        user_tower: ONNX session. item_tower: ONNX session.
        ranker: of the same items, None where the bundle has none.
    """

    version: str
    manifest: Manifest
    vocabulary: Vocabulary
    items: pa.Table
    index: ItemIndex
    retrieval_vectors: Vectors
    history_table: Vectors
    popularity: Vectors
    user_tower: ort.InferenceSession
    item_tower: ort.InferenceSession
    ranker: Ranker | None = None

    def interests(self, histories: HistoryBatch) -> Vectors:
        """Return the interest vectors [B, M, D] of B histories.

        Raises:
            ValueError: T differs from the bundle's history length, or a row is not in [-1, N).
        """
        length = self.manifest.dimensions["history_length"]
        if histories.rows.shape[1] != length:
            raise ValueError(f"histories have T = {histories.rows.shape[1]}, the model {length}")
        if histories.rows.size and int(histories.rows.max()) >= len(self.vocabulary):
            raise ValueError(f"history row {histories.rows.max()} >= N = {len(self.vocabulary)}")
        gathered = history_vectors(self.history_table, histories.rows)
        return run_user_tower(self.user_tower, gathered, histories)

    def retrieve(self, interests: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Vectors]:
        """Return at most `k` rows and scores, best first, for one user's interests [M, D].

        An item's score is its best inner product with an interest.
        """
        rows, scores = self.index.search(interests, k, allowed)
        return best_of_interests(rows, scores, k)

    def embed(self, items: Sequence[Mapping[str, Any]]) -> tuple[Vectors, Vectors]:
        """Return history [B, H] and retrieval vectors [B, D] of items by their content alone."""
        return run_item_tower(self.item_tower, item_features(items), np.zeros(len(items), np.int64))


def best_of_interests(rows: Rows, scores: Vectors, k: int) -> tuple[Rows, Vectors]:
    """Merge [M, K] results into one list of distinct rows by their best score, best first."""
    if len(rows) == 1:  # one interest finds each row once, best first
        found = np.flatnonzero(rows[0] >= 0)[:k]
        return rows[0, found], scores[0, found]
    order = np.argsort(-scores, axis=None, kind="stable")
    flat_rows, flat_scores = rows.ravel()[order], scores.ravel()[order]
    present = flat_rows >= 0
    flat_rows, flat_scores = flat_rows[present], flat_scores[present]
    _, first = np.unique(flat_rows, return_index=True)
    best = np.sort(first)[:k]
    return flat_rows[best], flat_scores[best]


def load_feed_model(folder: Path) -> FeedModel:
    """Load a feed bundle and let it answer its golden queries.

    Raises:
        BundleError: a checksum, a dimension or a golden answer disagrees; names the file.
    """
    bundle = open_bundle(folder, KIND)
    model = assemble(bundle)
    verify_golden(model, folder)
    if model.ranker is not None:
        verify_ranker(model.ranker, model.history_table, model.retrieval_vectors, folder)
    return model


def golden_queries(model: FeedModel, seed: int, count: int) -> dict[str, Any]:
    """Return synthetic histories of random rows and what the model answers to them.

    Returns:
        `histories` of `count` users, the first of them empty; per user `item_ids` and `scores` of
        the exact search and `index_item_ids` of the index, best first.
    """
    histories = random_histories(model, seed, count)
    interests = model.interests(histories)
    top = _exact_answers(model, interests)
    ids = model.vocabulary.item_id
    stored = {name: getattr(histories, name).tolist() for name in HISTORY_FIELDS}
    return {
        "seed": seed,
        "histories": stored,
        "item_ids": [[ids(row) for row in rows] for rows, _ in top],
        "scores": [scores.tolist() for _, scores in top],
        "index_item_ids": [
            [ids(r) for r in model.retrieve(i, GOLDEN_K, None)[0]] for i in interests
        ],
    }


def random_histories(model: FeedModel, seed: int, count: int) -> HistoryBatch:
    """Return histories of `count` users who never were; the first has done nothing."""
    length, n = model.manifest.dimensions["history_length"], len(model.vocabulary)
    random = np.random.default_rng(seed)
    shape = (count, length)
    events = random.integers(0, length + 1, count)
    events[:1] = 0
    present = np.arange(length) < events[:, None]
    actions = random.choice([ACTION_CODES[name] for name in ("play", "long_view", "like")], shape)
    ages_s = np.sort(random.integers(0, 7 * 86_400, shape), axis=1)
    return HistoryBatch(
        rows=np.where(present, random.integers(0, n, shape), -1),
        actions=np.where(present, actions, 0),
        watch_ratio=np.where(present, random.random(shape).round(3), -1).astype(np.float32),
        age_s=np.where(present, ages_s, 0).astype(np.float32),
    )


def verify_golden(model: FeedModel, folder: Path) -> None:
    """Compare towers, vectors and index with the answers in ``golden.json``.

    Raises:
        BundleError: names what disagrees.
    """
    _verify_item_tower(model, folder)
    path = folder / GOLDEN
    try:
        golden = json.loads(path.read_bytes())
        stored = {k: np.array(golden["histories"][k], t) for k, t in HISTORY_FIELDS.items()}
        interests = model.interests(HistoryBatch(**stored))
        answers = list(
            zip(golden["item_ids"], golden["scores"], golden["index_item_ids"], strict=True)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: holds no golden queries: {error!r}") from error
    _verify_interests(model, interests, folder)
    rows = model.vocabulary.rows
    for vectors, (item_ids, scores, _) in zip(interests, answers, strict=True):
        _verify_scores(model, vectors, rows(item_ids), scores, folder)
    _verify_index(model, interests, [rows(index_ids) for _, _, index_ids in answers], folder)


def _verify_interests(model: FeedModel, interests: Vectors, folder: Path) -> None:
    expected = [model.manifest.dimensions[name] for name in ("interests", "retrieval")]
    if list(interests.shape[1:]) != expected:
        found = list(interests.shape[1:])
        raise BundleError(f"{folder / USER_TOWER}: gives [M, D] = {found}, expected {expected}")


def _verify_item_tower(model: FeedModel, folder: Path) -> None:
    rows = np.unique(np.linspace(0, len(model.vocabulary) - 1, GOLDEN_K).astype(np.int64))
    features = item_features(model.items.take(rows).to_pylist())
    found = run_item_tower(model.item_tower, features, rows + 1)
    tables = {HISTORY_VECTORS: model.history_table, RETRIEVAL_VECTORS: model.retrieval_vectors}
    for (name, table), vectors in zip(tables.items(), found, strict=True):
        if (off := _difference(vectors, table[rows])) > TOLERANCE:
            raise BundleError(
                f"{folder}: {ITEM_TOWER} and {name} disagree by {off:.2g}: one is of another "
                "bundle, or item features are computed otherwise since it was built; build it anew"
            )


def _verify_scores(
    model: FeedModel, interests: Vectors, rows: Rows, expected: Sequence[float], folder: Path
) -> None:
    if (rows < 0).any():
        raise BundleError(f"{folder}: {GOLDEN} names items that {ITEMS} lacks")
    scores = (model.retrieval_vectors[rows] @ interests.T).max(axis=1)
    if (off := _difference(scores, np.array(expected, np.float32))) > TOLERANCE:
        raise BundleError(
            f"{folder}: {USER_TOWER} and {RETRIEVAL_VECTORS} disagree with the scores in {GOLDEN} "
            f"by {off:.2g}"
        )


def _verify_index(
    model: FeedModel, interests: Vectors, expected: Sequence[Rows], folder: Path
) -> None:
    same = [
        np.isin(wanted, model.retrieve(vectors, len(wanted), None)[0]).mean()
        for vectors, wanted in zip(interests, expected, strict=True)
    ]
    if (share := float(np.mean(same))) < INDEX_AGREEMENT:
        raise BundleError(
            f"{folder}: {INDEX} and the towers disagree: the index finds {share:.0%} of the items "
            f"that it found when it was built, expected {INDEX_AGREEMENT:.0%}"
        )


def _difference(found: Vectors, expected: Vectors) -> float:
    """Largest difference relative to the largest expected value, infinite for other shapes."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return math.inf
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return float(np.abs(found - expected).max(initial=0)) / scale


def _exact_answers(model: FeedModel, interests: Vectors) -> list[tuple[Rows, Vectors]]:
    vectors = model.retrieval_vectors
    return [
        best_of_interests(*exact_search(vectors, i, GOLDEN_K, None), GOLDEN_K) for i in interests
    ]


def assemble(bundle: Bundle) -> FeedModel:
    """Load the parts of a bundle, their dimensions checked and golden queries not yet asked.

    Raises:
        BundleError: a part is missing, unreadable or of other dimensions; names the file.
    """
    manifest, folder = bundle.manifest, bundle.folder
    n, h, d, _, _ = feed_dimensions(bundle)
    items, vocabulary = _catalogue(folder / ITEMS, n)
    retrieval_vectors = load_array(bundle, RETRIEVAL_VECTORS, (n, d), "float32")
    history_table = load_array(bundle, HISTORY_VECTORS, (n, h), "float32")
    return FeedModel(
        version=manifest.version,
        manifest=manifest,
        vocabulary=vocabulary,
        items=items,
        index=_index(bundle, retrieval_vectors),
        retrieval_vectors=retrieval_vectors,
        history_table=history_table,
        popularity=load_array(bundle, POPULARITY, (n,), "float32"),
        user_tower=load_user_tower(bundle),
        item_tower=load_item_tower(bundle),
        ranker=load_ranker(bundle, history_table, retrieval_vectors, published_ms(items))
        if has_ranker(bundle)
        else None,
    )


def published_ms(items: pa.Table) -> Rows:
    """[N] publication of the items in ms since 1970, 0 where not known."""
    if "published_at" not in items.column_names:
        return np.zeros(len(items), np.int64)
    return np.asarray(items["published_at"].fill_null(0)).astype(np.int64)


def _index(bundle: Bundle, vectors: Vectors) -> ItemIndex:
    path = bundle.folder / INDEX
    if bundle.manifest.index is None:
        raise BundleError(f"{bundle.folder / MANIFEST}: index is missing")
    index = load_index(path, bundle.manifest.index, vectors)
    if (len(index), index.dimensions) != vectors.shape:
        found = [len(index), index.dimensions]
        raise BundleError(f"{path}: is {found}, {RETRIEVAL_VECTORS} is {list(vectors.shape)}")
    return index


def _catalogue(path: Path, n: int) -> tuple[pa.Table, Vocabulary]:
    try:
        items = pq.read_table(path)
        vocabulary = Vocabulary(items["item_id"].cast(pa.string()).to_pylist())
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise BundleError(f"{path}: cannot be read as a catalogue: {error}") from error
    if len(vocabulary) != n:
        raise BundleError(f"{path}: has {len(vocabulary)} items, the manifest says {n}")
    return items, vocabulary
