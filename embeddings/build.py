"""Catalogue -> vectors -> index -> golden queries: what turns exported towers into a bundle."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from embeddings.feed_model import (
    GOLDEN,
    HISTORY_VECTORS,
    INDEX,
    ITEMS,
    KIND,
    POPULARITY,
    RETRIEVAL_VECTORS,
    assemble,
    golden_queries,
)
from embeddings.index_training import build_index
from embeddings.towers import ITEM_TOWER, USER_TOWER, run_item_tower, run_user_tower
from models.arrays import Vectors
from models.bundle import Bundle, BundleError, Manifest, Provenance, load_session, seal
from models.features import HistoryBatch, history_vectors, item_features

BATCH_ITEMS = 4096
GOLDEN_QUERIES = 16


def embed_catalogue(tower: ort.InferenceSession, items: pa.Table) -> tuple[Vectors, Vectors]:
    """Return history [N, H] and retrieval vectors [N, D] of the items, in row order."""
    parts = []
    for start in tqdm(range(0, items.num_rows, BATCH_ITEMS), "embedding items", delay=2):
        records = items.slice(start, BATCH_ITEMS).to_pylist()
        rows = np.arange(start + 1, start + 1 + len(records), dtype=np.int64)
        parts.append(run_item_tower(tower, item_features(records), rows))
    return np.concatenate([h for h, _ in parts]), np.concatenate([r for _, r in parts])


def complete_feed_bundle(
    folder: Path,
    items: pa.Table,
    popularity: Vectors,
    histories: HistoryBatch,
    provenance: Provenance,
    evaluation: Mapping[str, Any],
) -> Manifest:
    """Turn a staged folder with ``user_tower.onnx`` and ``item_tower.onnx`` into a bundle.

    Args:
        folder: from `models.bundle.staged`.
        items: N records of the Item contract, `item_id` first.
        popularity: [N] prior, >= 0.
        histories: [B, T] of users the model was trained on, T as the user tower takes it; their
            interests tune the index and are not stored. A few thousand serve well.
        provenance: what the towers were trained on.
        evaluation: stored as ``evaluation.json``.

    Raises:
        BundleError: the towers do not fit the items or each other, or there are no items.
    """
    if not items.num_rows:
        raise BundleError(f"{folder}: the catalogue is empty, expected at least one item")
    history, retrieval = embed_catalogue(load_session(folder / ITEM_TOWER), items)
    user_tower = load_session(folder / USER_TOWER)
    interests = run_user_tower(user_tower, history_vectors(history, histories.rows), histories)
    index, facts = build_index(retrieval, _shuffled(interests), seed=provenance.seed)
    pq.write_table(items, folder / ITEMS)
    np.save(folder / HISTORY_VECTORS, history)
    np.save(folder / RETRIEVAL_VECTORS, retrieval)
    np.save(folder / POPULARITY, popularity.astype(np.float32))
    index.save(folder / INDEX)
    _write_json(folder / "evaluation.json", evaluation)
    draft = Manifest(
        **dict(provenance),
        kind=KIND,
        created_at=datetime.now(UTC).replace(microsecond=0),
        dimensions={
            "items": items.num_rows,
            "history": history.shape[1],
            "retrieval": retrieval.shape[1],
            "interests": interests.shape[1],
            "history_length": histories.rows.shape[1],
        },
        metric="inner_product",
        index=facts,
    )
    model = assemble(Bundle(folder, draft))
    _write_json(folder / GOLDEN, golden_queries(model, provenance.seed, GOLDEN_QUERIES))
    return seal(folder, draft)


def _shuffled(interests: Vectors) -> Vectors:
    """All users' interests [B * M, D] in random order: halves of it are alike."""
    flat = interests.reshape(-1, interests.shape[-1])
    return flat[np.random.default_rng(0).permutation(len(flat))]


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
