"""Small genuine feed bundles without training: real ONNX towers, index and golden queries.

The item tower sums an identity vector and the mean of its tokens' vectors, so that items that
share category, creator or words are close. The user tower has two interests: the mean of the
history and its newest event. The last coordinate is the logarithm of the popularity, which every
interest weighs alike: a user without history gets the popular items.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

from embeddings.build import complete_feed_bundle
from models.arrays import Vectors
from models.bundle import DataFacts, Manifest, Provenance, staged
from models.features import ACTION_CODES, TOKENS_PER_ITEM, History, HistoryBatch, batch_histories

HISTORY_LENGTH = 16
HISTORY_DIMENSIONS = 8
TOKEN_VECTORS = 4096
OPSET = 20
KINDS = ("video", "video", "video", "live", "product")
CATEGORIES = ("美妆/口红", "美妆/面膜", "food/noodles", "sport/running", "home/lamps")
WORDS = ("速干", "新款", "soft", "red", "night", "quick", "classic", "mini", "限量", "fresh")


def make_feed_bundle(
    folder: Path,
    items: int | Sequence[Mapping[str, Any]] = 200,
    seed: int = 0,
    dimensions: int = HISTORY_DIMENSIONS,
) -> Manifest:
    """Write a bundle into `folder`, which must not exist.

    Args:
        folder: the bundle's.
        items: how many items to invent, or records of the Item contract.
        seed: draws items, vectors and popularity.
        dimensions: of the history vectors; the retrieval vectors have one more.
    """
    random = np.random.default_rng(seed)
    records = invented_items(items, random) if isinstance(items, int) else list(items)
    popularity = np.sort(random.pareto(2.0, len(records)))[::-1].astype(np.float32)
    random.shuffle(popularity)
    with staged(folder) as staging:
        onnx.save(user_tower(dimensions), staging / "user_tower.onnx")
        onnx.save(item_tower(popularity, random, dimensions), staging / "item_tower.onnx")
        table = pa.Table.from_pylist(records)
        past = invented_histories(len(records), random)
        return complete_feed_bundle(
            staging, table, popularity, past, provenance(len(records), seed), {}
        )


def provenance(items: int, seed: int) -> Provenance:
    """Facts of a model that saw no data."""
    data = DataFacts(
        dataset="test",
        protocol="none",
        users=0,
        items=items,
        events=0,
        window=None,
        fingerprint=f"test-{seed}",
    )
    return Provenance(parent=None, code_revision="test", seed=seed, data=data)


def invented_items(count: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Return `count` records ``item-0``, ``item-1``, … of every kind and category."""
    return [
        {
            "item_id": f"item-{n}",
            "kind": KINDS[n % len(KINDS)],
            "creator_id": f"creator-{random.integers(max(count // 5, 1))}",
            "title": " ".join(random.choice(WORDS, 3)),
            "category": CATEGORIES[random.integers(len(CATEGORIES))],
            "tags": [str(random.choice(WORDS))],
            "language": "zh" if n % 2 else "en",
            "price": float(random.integers(5, 500)) if KINDS[n % len(KINDS)] == "product" else None,
            "duration_ms": int(random.integers(5_000, 90_000)),
            "published_at": 1_700_000_000_000 + n * 60_000,
        }
        for n in range(count)
    ]


def invented_histories(items: int, random: np.random.Generator, users: int = 64) -> HistoryBatch:
    """Return histories of 1 to `HISTORY_LENGTH` long views of random items."""
    lengths = random.integers(1, HISTORY_LENGTH + 1, users)
    histories = [
        History(
            random.integers(0, items, n),
            np.full(n, ACTION_CODES["long_view"]),
            np.ones(n, np.float32),
            np.arange(n, dtype=np.float32) * 3600,
        )
        for n in lengths
    ]
    return batch_histories(histories, HISTORY_LENGTH)


def user_tower(h: int = HISTORY_DIMENSIONS) -> onnx.ModelProto:
    """Masked mean of the history and its newest event, each with a weight of the popularity."""
    t = HISTORY_LENGTH
    nodes = [
        helper.make_node("Cast", ["mask"], ["weight"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weight", "two"], ["weight3"]),
        helper.make_node("Mul", ["history_vectors", "weight3"], ["present"]),
        helper.make_node("ReduceSum", ["present", "one"], ["sum"], keepdims=1),
        helper.make_node("ReduceSum", ["weight3", "one"], ["events"], keepdims=1),
        helper.make_node("Max", ["events", "unit"], ["at_least_one"]),
        helper.make_node("Div", ["sum", "at_least_one"], ["mean"]),
        helper.make_node("Slice", ["present", "zero", "one", "one"], ["newest"]),
        helper.make_node("Concat", ["mean", "newest"], ["tastes"], axis=1),
        helper.make_node("Slice", ["tastes", "zero", "one", "two"], ["corner"]),
        helper.make_node("Mul", ["corner", "none"], ["blank"]),
        helper.make_node("Add", ["blank", "unit"], ["popularity_weight"]),
        helper.make_node("Concat", ["tastes", "popularity_weight"], ["interests"], axis=2),
    ]
    inputs = [
        helper.make_tensor_value_info("history_vectors", TensorProto.FLOAT, ["B", t, h]),
        helper.make_tensor_value_info("actions", TensorProto.INT64, ["B", t]),
        helper.make_tensor_value_info("watch_ratio", TensorProto.FLOAT, ["B", t]),
        helper.make_tensor_value_info("age_s", TensorProto.FLOAT, ["B", t]),
        helper.make_tensor_value_info("mask", TensorProto.BOOL, ["B", t]),
    ]
    outputs = [helper.make_tensor_value_info("interests", TensorProto.FLOAT, ["B", 2, h + 1])]
    constants = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "two": np.array([2]),
        "unit": np.array(1, np.float32),
        "none": np.array(0, np.float32),
    }
    return _model("user_tower", nodes, inputs, outputs, constants)


def item_tower(
    popularity: Vectors, random: np.random.Generator, h: int = HISTORY_DIMENSIONS
) -> onnx.ModelProto:
    """Identity vector plus mean token vector, and the popularity as last coordinate."""
    n = len(popularity)
    identity = np.zeros((n + 1, h), np.float32)  # row 0 is the unknown item
    identity[1:] = random.normal(0, 0.1, (n, h))
    tokens = random.normal(0, 4, (TOKEN_VECTORS, h)).astype(np.float32)
    tokens[0] = 0
    nodes = [
        helper.make_node("Gather", ["identity", "item_rows"], ["own"]),
        helper.make_node("Mod", ["tokens", "buckets"], ["bucket"]),
        helper.make_node("Gather", ["token_vectors", "bucket"], ["words"]),
        helper.make_node("ReduceMean", ["words", "one"], ["content"], keepdims=0),
        helper.make_node("Add", ["own", "content"], ["history_vectors"]),
        helper.make_node("Gather", ["prior", "item_rows"], ["popularity"]),
        helper.make_node(
            "Concat", ["history_vectors", "popularity"], ["retrieval_vectors"], axis=1
        ),
    ]
    inputs = [
        helper.make_tensor_value_info("item_rows", TensorProto.INT64, ["N"]),
        helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", TOKENS_PER_ITEM]),
        helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["N", 4]),
    ]
    outputs = [
        helper.make_tensor_value_info("history_vectors", TensorProto.FLOAT, ["N", h]),
        helper.make_tensor_value_info("retrieval_vectors", TensorProto.FLOAT, ["N", h + 1]),
    ]
    constants = {
        "identity": identity,
        "token_vectors": tokens,
        "buckets": np.array(TOKEN_VECTORS),
        "one": np.array([1]),
        "prior": np.log1p(np.concatenate([[0], popularity])).astype(np.float32)[:, None] / 4,
    }
    return _model("item_tower", nodes, inputs, outputs, constants)


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: Mapping[str, np.ndarray[Any, Any]],
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(array, key) for key, array in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model
