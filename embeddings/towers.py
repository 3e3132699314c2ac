"""The two towers as ONNX models: opened with their dimensions checked, and run."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import onnxruntime as ort

from models.arrays import Rows, Vectors
from models.bundle import MANIFEST, Bundle, BundleError, Tensor, check_signature, load_session
from models.features import (
    NUMERIC_FEATURES,
    TOKENS_PER_ITEM,
    HistoryBatch,
    ItemFeatures,
)

USER_TOWER = "user_tower.onnx"
ITEM_TOWER = "item_tower.onnx"
FLOAT, INT64, BOOL = "tensor(float)", "tensor(int64)", "tensor(bool)"


class Dimensions(NamedTuple):
    """Sizes that all parts of a feed bundle share: N, H, D, M and T."""

    items: int
    history: int
    retrieval: int
    interests: int
    history_length: int


def feed_dimensions(bundle: Bundle) -> Dimensions:
    """Return the dimensions in the manifest.

    Raises:
        BundleError: one is missing, unknown or below 1.
    """
    found = bundle.manifest.dimensions
    path = bundle.folder / MANIFEST
    if found.keys() != set(Dimensions._fields):
        expected = sorted(Dimensions._fields)
        raise BundleError(f"{path}: dimensions are {sorted(found)}, expected {expected}")
    if low := {name: size for name, size in found.items() if size < 1}:
        raise BundleError(f"{path}: dimensions {low} are below 1")
    return Dimensions(**found)


def load_user_tower(bundle: Bundle) -> ort.InferenceSession:
    """Open the user tower.

    Raises:
        BundleError: it is no such model or disagrees with the manifest.
    """
    _, h, d, m, t = feed_dimensions(bundle)
    session = load_session(bundle.folder / USER_TOWER)
    inputs = {
        "history_vectors": Tensor(FLOAT, ("B", t, h)),
        "actions": Tensor(INT64, ("B", t)),
        "watch_ratio": Tensor(FLOAT, ("B", t)),
        "age_s": Tensor(FLOAT, ("B", t)),
        "mask": Tensor(BOOL, ("B", t)),
    }
    outputs = {"interests": Tensor(FLOAT, ("B", m, d))}
    check_signature(bundle.folder / USER_TOWER, session, inputs, outputs)
    return session


def load_item_tower(bundle: Bundle) -> ort.InferenceSession:
    """Open the item tower.

    Raises:
        BundleError: it is no such model or disagrees with the manifest.
    """
    _, h, d, _, _ = feed_dimensions(bundle)
    session = load_session(bundle.folder / ITEM_TOWER)
    inputs = {
        "item_rows": Tensor(INT64, ("N",)),
        "tokens": Tensor(INT64, ("N", TOKENS_PER_ITEM)),
        "numeric": Tensor(FLOAT, ("N", len(NUMERIC_FEATURES))),
    }
    outputs = {
        "history_vectors": Tensor(FLOAT, ("N", h)),
        "retrieval_vectors": Tensor(FLOAT, ("N", d)),
    }
    check_signature(bundle.folder / ITEM_TOWER, session, inputs, outputs)
    return session


def run_user_tower(
    tower: ort.InferenceSession, gathered: Vectors, histories: HistoryBatch
) -> Vectors:
    """Return the interests [B, M, D] of histories [B, T] of items with these vectors [B, T, H].

    Raises:
        BundleError: the model cannot run on them.
    """
    inputs = {
        "history_vectors": gathered,
        "actions": histories.actions,
        "watch_ratio": histories.watch_ratio,
        "age_s": histories.age_s,
        "mask": histories.mask,
    }
    interests: Vectors = _run(tower, USER_TOWER, ["interests"], inputs)[0]
    return interests


def run_item_tower(
    tower: ort.InferenceSession, features: ItemFeatures, tower_rows: Rows
) -> tuple[Vectors, Vectors]:
    """Return history [B, H] and retrieval vectors [B, D] of items.

    Args:
        tower: the item tower.
        features: content of the items.
        tower_rows: [B] item row + 1, or 0 for an item that the model does not know.

    Raises:
        BundleError: the model cannot run on them.
    """
    inputs = {"item_rows": tower_rows, "tokens": features.tokens, "numeric": features.numeric}
    history, retrieval = _run(tower, ITEM_TOWER, ["history_vectors", "retrieval_vectors"], inputs)
    return history, retrieval


def _run(
    tower: ort.InferenceSession, name: str, outputs: list[str], inputs: Mapping[str, Any]
) -> list[Vectors]:
    try:
        results: list[Vectors] = tower.run(outputs, inputs)
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise BundleError(f"{name}: cannot be run: {error}") from error
    return results
