"""The feed model: everything one request needs from one bundle, read-only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.index import ExactIndex, ItemIndex, load_index
from embeddings.vocabulary import Vocabulary
from models.arrays import Mask, Rows, Vectors
from models.bundle import (
    Bundle,
    BundleError,
    Manifest,
    check_signature,
    load_array,
    load_session,
    open_bundle,
)
from models.features import (
    ACTION_CODES,
    NUMERIC_FEATURES,
    TOKENS_PER_ITEM,
    HistoryBatch,
    history_vectors,
    item_features,
)

KIND: Literal["feed"] = "feed"
DIMENSIONS = ("items", "history", "retrieval", "interests", "history_length")
GOLDEN_K = 20
TOLERANCE = 1e-3  # of a score, relative to the largest; float32 differs between processors
INDEX_RECALL = 0.8  # of golden top items that an approximate index must find


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
        inputs = {
            "history_vectors": history_vectors(self.history_table, histories.rows),
            "actions": histories.actions,
            "watch_ratio": histories.watch_ratio,
            "age_s": histories.age_s,
            "mask": histories.mask,
        }
        vectors: Vectors = self.user_tower.run(["interests"], inputs)[0]
        return vectors

    def retrieve(self, interests: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Vectors]:
        """Return at most `k` rows and scores, best first, for one user's interests [M, D].

        An item's score is its best inner product with an interest.
        """
        rows, scores = self.index.search(interests, k, allowed)
        return best_of_interests(rows, scores, k)

    def embed(self, items: Sequence[Mapping[str, Any]]) -> tuple[Vectors, Vectors]:
        """Return history [B, H] and retrieval vectors [B, D] of items by their content alone."""
        return run_item_tower(self.item_tower, items, np.zeros(len(items), np.int64))


def best_of_interests(rows: Rows, scores: Vectors, k: int) -> tuple[Rows, Vectors]:
    """Merge [M, K] results into one list of distinct rows by their best score, best first."""
    order = np.argsort(-scores, axis=None, kind="stable")
    flat_rows, flat_scores = rows.ravel()[order], scores.ravel()[order]
    present = flat_rows >= 0
    flat_rows, flat_scores = flat_rows[present], flat_scores[present]
    _, first = np.unique(flat_rows, return_index=True)
    best = np.sort(first)[:k]
    return flat_rows[best], flat_scores[best]


def run_item_tower(
    tower: ort.InferenceSession, items: Sequence[Mapping[str, Any]], tower_rows: Rows
) -> tuple[Vectors, Vectors]:
    """Return history and retrieval vectors of item records.

    Args:
        tower: the item tower.
        items: records of the Item contract.
        tower_rows: [B] item row + 1, or 0 for an item the model does not know.
    """
    features = item_features(items)
    inputs = {"item_rows": tower_rows, "tokens": features.tokens, "numeric": features.numeric}
    history, retrieval = tower.run(["history_vectors", "retrieval_vectors"], inputs)
    return history, retrieval


def load_feed_model(folder: Path) -> FeedModel:
    """Load a feed bundle and let it answer its golden queries.

    Raises:
        BundleError: a checksum, a dimension or a golden answer disagrees; names the file.
    """
    bundle = open_bundle(folder, KIND)
    model = assemble(bundle)
    verify_golden(model, folder / "golden.json")
    return model


def golden_queries(model: FeedModel, seed: int, count: int) -> dict[str, Any]:
    """Return synthetic histories of random rows and what the model answers to them.

    Returns:
        `histories` of `count` users (the first is empty), and per user the `item_ids` and
        `scores` of the exact search, best first.
    """
    length, n = model.manifest.dimensions["history_length"], len(model.vocabulary)
    random = np.random.default_rng(seed)
    rows = random.integers(0, n, (count, length))
    rows[np.arange(length) >= random.integers(0, length + 1, count)[:, None]] = -1
    rows[:1] = -1
    present = rows >= 0
    histories = HistoryBatch(
        rows,
        np.where(
            present, random.choice([ACTION_CODES["play"], ACTION_CODES["like"]], rows.shape), 0
        ),
        np.where(present, random.random(rows.shape).round(3), -1).astype(np.float32),
        np.where(present, np.sort(random.integers(0, 10**6, rows.shape)), 0).astype(np.float32),
    )
    top = _exact_answers(model, model.interests(histories), GOLDEN_K)
    return {
        "seed": seed,
        "histories": {
            "rows": rows.tolist(),
            "actions": histories.actions.tolist(),
            "watch_ratio": histories.watch_ratio.tolist(),
            "age_s": histories.age_s.tolist(),
        },
        "item_ids": [[model.vocabulary.item_id(r) for r in rows] for rows, _ in top],
        "scores": [scores.tolist() for _, scores in top],
    }


def verify_golden(model: FeedModel, path: Path) -> None:
    """Compare towers, vectors and index with the bundle's golden answers.

    Raises:
        BundleError: names what disagrees.
    """
    golden = json.loads(path.read_bytes())
    stored = golden["histories"]
    histories = HistoryBatch(
        np.array(stored["rows"], np.int64),
        np.array(stored["actions"], np.int64),
        np.array(stored["watch_ratio"], np.float32),
        np.array(stored["age_s"], np.float32),
    )
    interests = model.interests(histories)
    expected = [np.array(scores, np.float32) for scores in golden["scores"]]
    rows = [model.vocabulary.rows(ids) for ids in golden["item_ids"]]
    for b, (vectors, wanted) in enumerate(zip(interests, expected, strict=True)):
        scores = (model.retrieval_vectors[rows[b]] @ vectors.T).max(axis=1)
        if not np.allclose(scores, wanted, atol=TOLERANCE * max(1.0, float(np.abs(wanted).max()))):
            off = float(np.abs(scores - wanted).max())
            raise BundleError(
                f"{path}: query {b}: user_tower.onnx and retrieval_vectors.npy disagree with the "
                f"stored scores by {off:.3g}"
            )
    _verify_index(model, interests, rows, path)


def _verify_index(
    model: FeedModel, interests: Vectors, expected: Sequence[Rows], path: Path
) -> None:
    found = [
        np.isin(wanted, model.retrieve(vectors, len(wanted), None)[0]).mean()
        for vectors, wanted in zip(interests, expected, strict=True)
    ]
    if (recall := float(np.mean(found))) < INDEX_RECALL:
        raise BundleError(
            f"{path}: index.faiss and the towers disagree: it finds {recall:.0%} of the golden "
            f"items, expected at least {INDEX_RECALL:.0%}"
        )


def _exact_answers(model: FeedModel, interests: Vectors, k: int) -> list[tuple[Rows, Vectors]]:
    exact = ExactIndex(model.retrieval_vectors)
    return [best_of_interests(*exact.search(vectors, k), k) for vectors in interests]


def assemble(bundle: Bundle) -> FeedModel:
    """Load the parts of a bundle, their dimensions checked and golden queries not yet asked.

    Raises:
        BundleError: a part is missing, unreadable or of other dimensions; names the file.
    """
    manifest, folder = bundle.manifest, bundle.folder
    n, h, d, _, _ = _dimensions(bundle)
    if manifest.index is None:
        raise BundleError(f"{folder / 'manifest.json'}: index is missing")
    items = _items(folder / "items.parquet", n)
    index = load_index(folder / "index.faiss", manifest.index)
    if (len(index), index.dimensions) != (n, d):
        found = [len(index), index.dimensions]
        raise BundleError(f"{folder / 'index.faiss'}: is {found}, the manifest says {[n, d]}")
    return FeedModel(
        version=manifest.version,
        manifest=manifest,
        vocabulary=Vocabulary(items["item_id"].to_pylist()),
        items=items,
        index=index,
        retrieval_vectors=load_array(bundle, "retrieval_vectors.npy", (n, d), "float32"),
        history_table=load_array(bundle, "history_vectors.npy", (n, h), "float32"),
        popularity=load_array(bundle, "popularity.npy", (n,), "float32"),
        user_tower=_user_tower(bundle),
        item_tower=_item_tower(bundle),
    )


def _dimensions(bundle: Bundle) -> tuple[int, int, int, int, int]:
    found = bundle.manifest.dimensions
    if found.keys() != set(DIMENSIONS):
        path = bundle.folder / "manifest.json"
        raise BundleError(f"{path}: dimensions are {sorted(found)}, expected {sorted(DIMENSIONS)}")
    n, h, d, m, t = (found[name] for name in DIMENSIONS)
    return n, h, d, m, t


def _items(path: Path, n: int) -> pa.Table:
    try:
        items = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BundleError(f"{path}: cannot be read as Parquet: {error}") from error
    if items.column_names[:1] != ["item_id"] or items.num_rows != n:
        raise BundleError(
            f"{path}: has {items.num_rows} rows and first column {items.column_names[:1]}, "
            f"expected {n} rows and item_id"
        )
    return items


def _user_tower(bundle: Bundle) -> ort.InferenceSession:
    _, h, d, m, t = _dimensions(bundle)
    path = bundle.folder / "user_tower.onnx"
    session = load_session(path)
    inputs: dict[str, tuple[int | None, ...]] = {
        "history_vectors": (None, t, h),
        **dict.fromkeys(("actions", "watch_ratio", "age_s", "mask"), (None, t)),
    }
    check_signature(path, session, inputs, {"interests": (None, m, d)})
    return session


def _item_tower(bundle: Bundle) -> ort.InferenceSession:
    _, h, d, _, _ = _dimensions(bundle)
    path = bundle.folder / "item_tower.onnx"
    session = load_session(path)
    check_signature(
        path,
        session,
        {
            "item_rows": (None,),
            "tokens": (None, TOKENS_PER_ITEM),
            "numeric": (None, len(NUMERIC_FEATURES)),
        },
        {"history_vectors": (None, h), "retrieval_vectors": (None, d)},
    )
    return session
