"""Item indexes: an exact reference and FAISS, behind one protocol."""

import math
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np

from models.arrays import Mask, Rows, Vectors
from models.bundle import BundleError, IndexFacts

COMPARED_ITEMS = 5_000  # where so few are allowed, comparing them is faster than reading lists
COMPARED_SHARE = 64  # and more so, the smaller the index: at most N / 64
PROBE_GROWTH = 0.75  # power of N / allowed: holds recall from all items down to one in 200
LISTED_KINDS = ("ivf_sq8", "ivf_pq")


class ItemIndex(Protocol):
    """N item vectors of D dimensions, searched by inner product; read-only."""

    def __len__(self) -> int:
        """N."""

    @property
    def dimensions(self) -> int:
        """D."""

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Rows, Vectors]:
        """Return item rows [B, K] and inner products [B, K], best first.

        Args:
            queries: [B, D], finite.
            k: results per query, >= 1; missing ones are row -1, score -inf.
            allowed: [N], true where an item may be returned; None allows all.

        Raises:
            ValueError: D, k or the length of `allowed` does not fit, or a query is not finite.
        """


class StoredIndex(ItemIndex, Protocol):
    """An index that a bundle holds."""

    def save(self, path: Path) -> None:
        """Write the index to one file, which `load_index` reads."""


class ExactIndex:
    """Inner products with every vector, in NumPy: the reference for all others."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = np.ascontiguousarray(vectors, np.float32)

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def dimensions(self) -> int:
        """D."""
        return int(self._vectors.shape[1])

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Rows, Vectors]:
        """See `ItemIndex.search`; of equal scores the lower row comes first."""
        queries = checked_queries(self, queries, k, allowed)
        return exact_search(self._vectors, queries, k, allowed)

    def save(self, path: Path) -> None:
        """Write the vectors as one array file."""
        with path.open("wb") as file:
            np.save(file, self._vectors)


class FlatIndex:
    """FAISS, comparing every vector."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """D."""
        return int(self._index.d)

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Rows, Vectors]:
        """See `ItemIndex.search`."""
        queries = checked_queries(self, queries, k, allowed)
        bits = _bitmap(allowed)
        selector, parameters = _selector(bits), faiss.SearchParameters()
        parameters.sel = selector
        faiss.omp_set_num_threads(1)  # each thread has its own setting; replicas run in parallel
        scores, rows = self._index.search(queries, max(min(k, len(self)), 1), params=parameters)
        return _padded(rows, np.where(rows < 0, -np.inf, scores).astype(np.float32), k)

    def save(self, path: Path) -> None:
        """Write the index in FAISS's own format."""
        faiss.write_index(self._index, str(path))


class ListedIndex:
    """FAISS inverted lists of compressed vectors; the best are rescored with the exact vectors.

    Attributes:
        lists: how many there are.
        nprobe: lists read per query when all items are allowed.
    """

    def __init__(self, index: Any, vectors: Vectors, nprobe: int, refine: float) -> None:
        """Search `index`, a whitening transform before inverted lists.

        Args:
            index: ``faiss.IndexPreTransform``.
            vectors: [N, D] exact, possibly memory-mapped.
            nprobe: see above.
            refine: candidates rescored per result, >= 1.
        """
        self.lists = int(faiss.extract_index_ivf(index).nlist)
        self.nprobe = nprobe
        self._refine = refine
        self._index = index
        self._vectors = np.asarray(vectors)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """D."""
        return int(self._index.d)

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Rows, Vectors]:
        """See `ItemIndex.search`; scores are exact and no result ends short of allowed items.

        The fewer items are allowed, the more lists are read; very few are compared one by one.
        """
        queries = checked_queries(self, queries, k, allowed)
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if count <= min(COMPARED_ITEMS, len(self) // COMPARED_SHARE):
            return exact_search(self._vectors, queries, k, allowed)
        bits = _bitmap(allowed)
        nprobe = min(math.ceil(self.nprobe * (len(self) / count) ** PROBE_GROWTH), self.lists)
        wanted = min(math.ceil(k * self._refine), count)
        rows = self._candidates(queries, wanted, bits, nprobe)
        short = (rows >= 0).sum(axis=1) < min(k, count)
        if short.any() and nprobe < self.lists:
            rows[short] = self._candidates(queries[short], wanted, bits, self.lists)
        return self._rescored(queries, rows, k)

    def save(self, path: Path) -> None:
        """Write the index in FAISS's own format."""
        faiss.write_index(self._index, str(path))

    def _candidates(self, queries: Vectors, k: int, bits: Any, nprobe: int) -> Rows:
        lists, parameters = faiss.SearchParametersIVF(), faiss.SearchParametersPreTransform()
        selector = _selector(bits)
        lists.sel, lists.nprobe = selector, nprobe
        parameters.index_params = lists
        faiss.omp_set_num_threads(1)  # each thread has its own setting; replicas run in parallel
        # Half-byte lookup tables cannot be scaled for a zero query, to which all items are equal.
        queries = np.where(queries.any(axis=1, keepdims=True), queries, np.float32(1))
        rows: Rows = self._index.search(queries, k, params=parameters)[1]
        return rows

    def _rescored(self, queries: Vectors, rows: Rows, k: int) -> tuple[Rows, Vectors]:
        found = self._vectors.take(np.maximum(rows, 0), axis=0)
        scores = np.einsum("bkd,bd->bk", found, queries)
        scores[rows < 0] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        query = np.arange(len(queries))[:, None]
        return _padded(rows[query, order], scores[query, order], k)


def recall(found: Rows, expected: Rows) -> float:
    """Mean share of the expected rows [B, K] that are among the found rows [B, any]."""
    shares = [np.isin(e[e >= 0], f).mean() for f, e in zip(found, expected, strict=True)]
    return float(np.mean(shares))


def load_index(path: Path, facts: IndexFacts, vectors: Vectors) -> ItemIndex:
    """Open an index that `ItemIndex.save` wrote; FAISS's files are memory-mapped.

    Args:
        path: the file.
        facts: as `build_index` returned them.
        vectors: [N, D] exact, of the same bundle.

    Raises:
        BundleError: the file is no such index; names it.
    """
    try:
        if facts.kind == "exact":
            with path.open("rb") as file:
                return ExactIndex(np.lib.format.read_array(file))
        # Unlike IO_FLAG_MMAP this starts no prefetch threads per query; adding would abort.
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        if facts.kind == "flat" and isinstance(index, faiss.IndexFlat):
            return FlatIndex(index)
        if facts.kind in LISTED_KINDS and isinstance(index, faiss.IndexPreTransform):
            nprobe, refine = facts.parameters["nprobe"], facts.parameters["refine"]
            return ListedIndex(index, vectors, int(nprobe), float(refine))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise BundleError(f"{path}: cannot be read as index {facts}: {error}") from error
    raise BundleError(f"{path}: is a {type(index).__name__}, the manifest says {facts.kind}")


def exact_search(
    vectors: Vectors, queries: Vectors, k: int, allowed: Mask | None
) -> tuple[Rows, Vectors]:
    """Return the `k` best allowed rows and scores of each query; see `ItemIndex.search`."""
    rows = None if allowed is None else np.flatnonzero(allowed)
    candidates = vectors if rows is None else vectors[rows]
    found = np.full((len(queries), k), -1, np.int64)
    best = np.full((len(queries), k), -np.inf, np.float32)
    for b, query in enumerate(queries):
        scores = candidates @ query
        top = best_positions(scores, k)
        found[b, : len(top)] = top if rows is None else rows[top]
        best[b, : len(top)] = scores[top]
    return found, best


def checked_queries(index: ItemIndex, queries: Vectors, k: int, allowed: Mask | None) -> Vectors:
    """Return the queries as FAISS wants them in memory.

    Raises:
        ValueError: names what does not fit, and both sides of it.
    """
    if queries.ndim != 2 or queries.shape[1] != index.dimensions:
        raise ValueError(f"queries are {queries.shape}, the index has D = {index.dimensions}")
    if not np.isfinite(queries).all():
        bad = np.flatnonzero(~np.isfinite(queries).all(axis=1))
        raise ValueError(f"queries {bad.tolist()[:10]} hold NaN or infinite values")
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    if allowed is not None and (allowed.shape != (len(index),) or allowed.dtype != np.bool_):
        found = f"{allowed.dtype} {allowed.shape}"
        raise ValueError(f"allowed is {found}, the index needs bool ({len(index)},)")
    return np.ascontiguousarray(queries, np.float32)


def best_positions(scores: Vectors, k: int) -> Rows:
    """Return the positions of the k best scores, best first, of equal ones the first."""
    if k >= len(scores):
        return np.argsort(-scores, kind="stable")
    kept = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    return kept[np.argsort(-scores[kept], kind="stable")][:k]


def _bitmap(allowed: Mask | None) -> Any:
    return None if allowed is None else np.packbits(allowed, bitorder="little")


def _selector(bits: Any) -> Any:
    """FAISS's view of a bitmap; the caller keeps both alive while it searches."""
    return None if bits is None else faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))


def _padded(rows: Rows, scores: Vectors, k: int) -> tuple[Rows, Vectors]:
    if rows.shape[1] == k:
        return rows, scores
    missing = ((0, 0), (0, k - rows.shape[1]))
    return (
        np.pad(rows, missing, constant_values=-1),
        np.pad(scores, missing, constant_values=-np.inf),
    )
