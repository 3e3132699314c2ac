"""What the ranker looks up of one item record: hashed keys that items share, and traits."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Vectors
from models.features import stable_hash

KEYS = ("creator", "category", "length", "kind", "branch")  # what items may have in common
AFFINE = 4  # of these; a branch is looked for among what was just shown alone
Keys = NDArray[np.int32]
KINDS = ("video", "live", "product", "image")
LENGTHS = 18  # half-octaves from one second up; the last is open
TRAITS = len(KINDS) + LENGTHS + 4


def item_keys(items: Iterable[Mapping[str, Any]]) -> Keys:
    """[N, len(KEYS)] hashed values of item records; 0 where not known, which matches nothing."""
    keys = [
        (
            hashed(item.get("creator_id")),
            hashed(item.get("category")),
            hashed(length_bucket(item.get("duration_ms"))),
            hashed(item.get("kind")),
            hashed(branch(item.get("category"))),
        )
        for item in items
    ]
    return np.array(keys, np.int32).reshape(-1, len(KEYS))


def branch(category: str | None) -> str | None:
    """The first part of a category path, which has leaves beneath it."""
    return category and category.split("/", 1)[0]


def hashed(value: str | int | None) -> int:
    """31-bit hash of a value, never 0; 0 for None."""
    return 0 if value is None else 1 + stable_hash(str(value)) % (2**31 - 1)


def length_bucket(duration_ms: float | None) -> int | None:
    """Half-octave of a duration in [0, LENGTHS), None where not known."""
    if duration_ms is None or not duration_ms > 0:
        return None
    return min(max(int(2 * np.log2(duration_ms / 1000)), 0), LENGTHS - 1)


def item_traits(item: Mapping[str, Any]) -> Vectors:
    """[TRAITS] what one item record says apart from its vectors: kind, length, price."""
    traits = np.zeros(TRAITS, np.float32)
    if item.get("kind") in KINDS:
        traits[KINDS.index(item["kind"])] = 1.0
    duration_ms, price = item.get("duration_ms"), item.get("price")
    if (bucket := length_bucket(duration_ms)) is not None:
        traits[len(KINDS) + bucket] = 1.0
        traits[-4:-2] = np.log1p(float(duration_ms or 0) / 1000), 1.0
    if price is not None:
        traits[-2:] = np.log1p(max(float(price), 0.0)), 1.0
    return traits
