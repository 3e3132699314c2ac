"""Item indexes: an exact reference and FAISS, behind one protocol."""

from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np

from models.arrays import Mask, Rows, Vectors
from models.bundle import BundleError, IndexFacts

faiss.omp_set_num_threads(1)  # replicas are what runs in parallel


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
        check_search(self, queries, k, allowed)
        scores = queries @ self._vectors.T
        if allowed is not None:
            scores[:, ~allowed] = -np.inf
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(scores, rows, axis=1)
        return _padded(np.where(np.isneginf(best), -1, rows), best, k)

    def save(self, path: Path) -> None:
        """Write the vectors as one array file."""
        with path.open("wb") as file:
            np.save(file, self._vectors)


class FaissIndex:
    """A FAISS index searched by inner product, on one thread."""

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
        check_search(self, queries, k, allowed)
        wanted = max(min(k, len(self)), 1)
        parameters = faiss.SearchParameters()
        if allowed is not None:
            bitmap = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bitmap), faiss.swig_ptr(bitmap))
            parameters.sel = selector
        scores, rows = self._index.search(queries, wanted, params=parameters)
        return _padded(rows, np.where(rows < 0, -np.inf, scores).astype(np.float32), k)

    def save(self, path: Path) -> None:
        """Write the index in FAISS's own format."""
        faiss.write_index(self._index, str(path))


def check_search(index: ItemIndex, queries: Vectors, k: int, allowed: Mask | None) -> None:
    """Refuse what cannot be searched.

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
    if allowed is not None and allowed.shape != (len(index),):
        raise ValueError(f"allowed is {allowed.shape}, the index has N = {len(index)}")


def build_index(vectors: Vectors, facts: IndexFacts) -> ItemIndex:
    """Index the rows of `vectors` [N, D].

    Raises:
        ValueError: the kind is unknown.
    """
    if facts.kind == "exact":
        return ExactIndex(vectors)
    if facts.kind == "flat":
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, np.float32))
        return FaissIndex(index)
    raise ValueError(f"index kind {facts.kind!r} is unknown")


def load_index(path: Path, facts: IndexFacts) -> ItemIndex:
    """Read an index that `ItemIndex.save` wrote.

    Raises:
        BundleError: the file is no such index; names it.
    """
    try:
        if facts.kind == "exact":
            return ExactIndex(np.load(path, allow_pickle=False))
        return FaissIndex(faiss.read_index(str(path)))
    except (OSError, ValueError, RuntimeError) as error:
        raise BundleError(f"{path}: cannot be read as a {facts.kind} index: {error}") from error


def _padded(rows: Rows, scores: Vectors, k: int) -> tuple[Rows, Vectors]:
    missing = ((0, 0), (0, k - rows.shape[1]))
    return (
        np.pad(rows, missing, constant_values=-1),
        np.pad(scores, missing, constant_values=-np.inf),
    )
