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

from embeddings.index import ItemIndex, exact_search, load_index
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
        return run_user_tower(self.user_tower, self.history_table, histories)

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


def run_user_tower(
    tower: ort.InferenceSession, history_table: Vectors, histories: HistoryBatch
) -> Vectors:
    """Return the interests [B, M, D] of histories [B, T] over items with history vectors [N, H]."""
    inputs = {
        "history_vectors": history_vectors(history_table, histories.rows),
        "actions": histories.actions,
        "watch_ratio": histories.watch_ratio,
        "age_s": histories.age_s,
        "mask": histories.mask,
    }
    interests: Vectors = tower.run(["interests"], inputs)[0]
    return interests


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
        `histories` of `count` users, the first of them empty; per user `item_ids` and `scores` of
        the exact search and `index_item_ids` of the index, best first.
    """
    histories = random_histories(model, seed, count)
    interests = model.interests(histories)
    top = _exact_answers(model, interests, GOLDEN_K)
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


def verify_golden(model: FeedModel, path: Path) -> None:
    """Compare towers, vectors and index with the bundle's golden answers.

    Raises:
        BundleError: names what disagrees.
    """
    _verify_item_tower(model, path.parent)
    try:
        golden = json.loads(path.read_bytes())
        stored = {k: np.array(golden["histories"][k], t) for k, t in HISTORY_FIELDS.items()}
        interests = model.interests(HistoryBatch(**stored))
        expected = list(zip(golden["item_ids"], golden["scores"], strict=True))
        listed = golden["index_item_ids"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: holds no golden queries for this model: {error!r}") from error
    for b, (ids, scores) in enumerate(expected):
        _verify_scores(
            model, interests[b], model.vocabulary.rows(ids), scores, f"{path}: query {b}"
        )
    _verify_index(model, interests, [model.vocabulary.rows(ids) for ids in listed], path)


def _verify_item_tower(model: FeedModel, folder: Path) -> None:
    rows = np.unique(np.linspace(0, len(model.vocabulary) - 1, GOLDEN_K).astype(np.int64))
    records = model.items.take(rows).to_pylist()
    found = run_item_tower(model.item_tower, records, rows + 1)
    tables = (
        ("history_vectors.npy", model.history_table),
        (
            "retrieval_vectors.npy",
            model.retrieval_vectors,
        ),
    )
    for (name, table), vectors in zip(tables, found, strict=True):
        if not _close(vectors, table[rows]):
            off = float(np.abs(vectors - table[rows]).max())
            raise BundleError(f"{folder}: item_tower.onnx and {name} disagree by {off:.3g}")


def _verify_scores(
    model: FeedModel, interests: Vectors, rows: Rows, expected: Sequence[float], where: str
) -> None:
    if (rows < 0).any():
        raise BundleError(f"{where}: items.parquet lacks a golden item")
    wanted = np.array(expected, np.float32)
    scores = (model.retrieval_vectors[rows] @ interests.T).max(axis=1)
    if not _close(scores, wanted):
        off = float(np.abs(scores - wanted).max())
        raise BundleError(
            f"{where}: user_tower.onnx and retrieval_vectors.npy give scores that differ from the "
            f"stored ones by {off:.3g}"
        )


def _verify_index(
    model: FeedModel, interests: Vectors, expected: Sequence[Rows], path: Path
) -> None:
    same = [
        np.isin(wanted, model.retrieve(vectors, len(wanted), None)[0]).mean()
        for vectors, wanted in zip(interests, expected, strict=True)
    ]
    if (share := float(np.mean(same))) < INDEX_AGREEMENT:
        raise BundleError(
            f"{path}: index.faiss and the towers disagree: it finds {share:.0%} of the items that "
            f"it found when it was built, expected {INDEX_AGREEMENT:.0%}"
        )


def _close(found: Vectors, expected: Vectors) -> bool:
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return bool(np.allclose(found, expected, rtol=0, atol=TOLERANCE * scale))


def _exact_answers(model: FeedModel, interests: Vectors, k: int) -> list[tuple[Rows, Vectors]]:
    vectors = model.retrieval_vectors
    return [best_of_interests(*exact_search(vectors, i, k, None), k) for i in interests]


def assemble(bundle: Bundle) -> FeedModel:
    """Load the parts of a bundle, their dimensions checked and golden queries not yet asked.

    Raises:
        BundleError: a part is missing, unreadable or of other dimensions; names the file.
    """
    manifest, folder = bundle.manifest, bundle.folder
    n, h, d, _, _ = _dimensions(bundle)
    if manifest.index is None:
        raise BundleError(f"{folder / 'manifest.json'}: index is missing")
    items, vocabulary = _items(folder / "items.parquet", n)
    retrieval_vectors = load_array(bundle, "retrieval_vectors.npy", (n, d), "float32")
    index = load_index(folder / "index.faiss", manifest.index, retrieval_vectors)
    if (len(index), index.dimensions) != (n, d):
        found = [len(index), index.dimensions]
        raise BundleError(f"{folder / 'index.faiss'}: is {found}, the manifest says {[n, d]}")
    return FeedModel(
        version=manifest.version,
        manifest=manifest,
        vocabulary=vocabulary,
        items=items,
        index=index,
        retrieval_vectors=retrieval_vectors,
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


def _items(path: Path, n: int) -> tuple[pa.Table, Vocabulary]:
    try:
        items = pq.read_table(path)
        vocabulary = Vocabulary(items["item_id"].to_pylist())
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise BundleError(f"{path}: cannot be read as a catalogue: {error}") from error
    if len(vocabulary) != n:
        raise BundleError(f"{path}: has {len(vocabulary)} items, the manifest says {n}")
    return items, vocabulary


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
