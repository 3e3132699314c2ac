"""Building item indexes: which kind, trained on what, reading how many lists.

Large catalogues are searched through inverted lists. Towers give vectors whose norms and
coordinates differ widely in what they contribute to a score (a popularity coordinate, say), so
plain k-means groups items by what hardly matters. The lists are therefore built in a space where
the queries are white: there, squared distance is the expected squared error of the score, and
k-means and quantisers minimise just that (Guo et al. 2016, "Quantization based Fast Inner Product
Search"). The inner product is the same in both spaces.
"""

import math
from typing import Any

import faiss
import numpy as np

from embeddings.index import (
    LISTED_KINDS,
    ExactIndex,
    FlatIndex,
    ListedIndex,
    StoredIndex,
    exact_search,
    recall,
)
from models.arrays import Rows, Vectors
from models.bundle import IndexFacts

FLAT_ITEMS = 20_000  # up to here comparing every vector is as fast as lists
SQ8_ITEMS = 10_000_000  # up to here lists hold a byte a coordinate; above, half a byte for two
REFINED = {"ivf_sq8": 1.2, "ivf_pq": 4.0}  # candidates per result, rescored exactly
FEWEST_LISTED = 256  # k-means and quantisers need examples
POINTS_PER_LIST = 48  # k-means gains nothing measurable beyond
KMEANS_ROUNDS = 8
TRAINED_CODES = 50_000
RIDGE = 0.1  # of the queries' mean energy: directions that no sample query took keep some weight
BLOCK_ROWS = 1 << 16
TARGET_RECALL = 0.975  # on tuning queries, so that others stay above .95
TUNED_K = 500
TUNING_QUERIES = 128


def index_kind(items: int) -> str:
    """Return the kind of index for a catalogue of this size."""
    if items <= FLAT_ITEMS:
        return "flat"
    return "ivf_sq8" if items <= SQ8_ITEMS else "ivf_pq"


def build_index(
    vectors: Vectors, queries: Vectors, kind: str | None = None, seed: int = 0
) -> tuple[StoredIndex, IndexFacts]:
    """Index the rows of `vectors`, tuned to queries like the given ones.

    Args:
        vectors: [N, D]; inverted lists keep the array for exact scores.
        queries: [B, D] sample; one half shapes the lists, the other chooses how many of them a
            search reads. Kinds without lists need none.
        kind: "exact", "flat", "ivf_sq8" or "ivf_pq"; by the number of items if None.
        seed: draws the training sample and the first centroids.

    Raises:
        ValueError: a vector is not finite, the kind is unknown, or there are too few vectors or
            queries for lists.
    """
    kind = kind or index_kind(len(vectors))
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ValueError(f"vectors {np.flatnonzero(~finite)[:10].tolist()} are not finite")
    if kind == "exact":
        return ExactIndex(vectors), IndexFacts(kind=kind)
    if kind == "flat":
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, np.float32))
        return FlatIndex(index), IndexFacts(kind=kind)
    if kind not in LISTED_KINDS:
        raise ValueError(
            f"index kind {kind!r} is unknown; known: exact, flat, {', '.join(LISTED_KINDS)}"
        )
    if len(vectors) < FEWEST_LISTED or len(queries) < 2:
        raise ValueError(
            f"{kind} needs at least {FEWEST_LISTED} vectors and 2 queries, found {len(vectors)} "
            f"and {len(queries)}; the kind flat needs none"
        )
    trained = _trained_lists(vectors, queries[::2], kind, seed)
    return tuned(trained, vectors, queries[1::2], kind)


def tuned(
    trained: Any, vectors: Vectors, queries: Vectors, kind: str
) -> tuple[ListedIndex, IndexFacts]:
    """Choose the fewest lists per search that reach `TARGET_RECALL`, else those that come closest.

    Args:
        trained: as `ListedIndex` takes it.
        vectors: [N, D] exact.
        queries: [B, D]; the first `TUNING_QUERIES` are searched, so report no figure on them.
        kind: gives the candidates per result.
    """
    queries = np.ascontiguousarray(queries[:TUNING_QUERIES], np.float32)
    k = min(TUNED_K, len(vectors) // 16)
    expected = exact_search(vectors, queries, k, None)[0]
    best, best_recall = ListedIndex(trained, vectors, 1, REFINED[kind]), -1.0
    # A search that runs short reads all lists: starting well above k keeps that from flattering.
    nprobe = 4.0 * k * best.lists / len(vectors)
    while best_recall < TARGET_RECALL and nprobe < best.lists * math.sqrt(2):
        lists = min(math.ceil(nprobe), best.lists)
        tried = ListedIndex(trained, vectors, lists, REFINED[kind])
        found = recall(tried.search(queries, k)[0], expected)
        if found > best_recall:
            best, best_recall = tried, found
        nprobe *= math.sqrt(2)
    parameters = {"nprobe": best.nprobe, "refine": REFINED[kind], "tuned_recall": best_recall}
    return best, IndexFacts(kind=kind, parameters=parameters)


def _trained_lists(vectors: Vectors, queries: Vectors, kind: str, seed: int) -> Any:
    whiten, unwhiten = _whitening(queries, even=kind == "ivf_pq")
    width, count = whiten.shape[1], _list_count(len(vectors))
    random = np.random.default_rng(seed)
    quantizer = faiss.IndexFlat(width, faiss.METRIC_L2)
    quantizer.add(
        _centroids(_sample(vectors, POINTS_PER_LIST * count, random) @ whiten, count, seed)
    )
    lists = _empty_lists(quantizer, width, count, kind)
    # Outliers are what the best results are made of: without them in sight they would be clipped.
    extremes = vectors[_extreme_rows(vectors, whiten)]
    lists.train(np.concatenate([_sample(vectors, TRAINED_CODES, random), extremes]) @ whiten)
    for start in range(0, len(vectors), BLOCK_ROWS):
        lists.add(vectors[start : start + BLOCK_ROWS] @ whiten)
    # Items belong to the nearest list, but a query reads the lists of the largest product.
    quantizer.metric_type = faiss.METRIC_INNER_PRODUCT
    transform = faiss.LinearTransform(*unwhiten.shape)
    faiss.copy_array_to_vector(unwhiten.T.ravel(), transform.A)
    transform.is_trained = True
    return faiss.IndexPreTransform(transform, lists)


def _whitening(queries: Vectors, even: bool) -> tuple[Vectors, Vectors]:
    """Return the maps [D, W] of items and of queries into the space where queries are white."""
    d = queries.shape[1]
    energy = queries.T.astype(np.float64) @ queries / len(queries)
    mean = np.trace(energy) / d or 1.0
    values, axes = np.linalg.eigh(energy / mean + RIDGE * np.eye(d))
    padding = np.zeros((d, d % 2 if even else 0))
    maps = [(axes * values**power) @ axes.T for power in (0.5, -0.5)]
    whiten, unwhiten = (np.hstack([m, padding]).astype(np.float32) for m in maps)
    return whiten, unwhiten


def _list_count(items: int) -> int:
    """A power of two near 2 sqrt(N), with 16 items a list at least."""
    return int(2 ** min(round(math.log2(2 * math.sqrt(items))), math.floor(math.log2(items / 16))))


def _centroids(points: Vectors, count: int, seed: int) -> Vectors:
    kmeans = faiss.Kmeans(
        points.shape[1], count, niter=KMEANS_ROUNDS, min_points_per_centroid=1, seed=seed
    )
    kmeans.train(points)
    return np.asarray(kmeans.centroids, np.float32)


def _empty_lists(quantizer: Any, width: int, count: int, kind: str) -> Any:
    metric = faiss.METRIC_INNER_PRODUCT
    if kind == "ivf_sq8":
        code = faiss.ScalarQuantizer.QT_8bit
        return faiss.IndexIVFScalarQuantizer(quantizer, width, count, code, metric)
    lists = faiss.IndexIVFPQFastScan(quantizer, width, count, width // 2, 4, metric)
    lists.by_residual = True  # off by default, which triples the error
    return lists


def _sample(vectors: Vectors, count: int, random: np.random.Generator) -> Vectors:
    if count >= len(vectors):
        return vectors
    return vectors[np.sort(random.choice(len(vectors), count, replace=False))]


def _extreme_rows(vectors: Vectors, transform: Vectors) -> Rows:
    """Rows of the least and the greatest value in each transformed coordinate."""
    rows = np.empty(0, np.int64)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = np.arange(start, min(start + BLOCK_ROWS, len(vectors)))
        rows = np.concatenate([rows, block])
        values = vectors[rows] @ transform
        rows = np.unique(rows[np.concatenate([values.argmin(axis=0), values.argmax(axis=0)])])
    return rows
