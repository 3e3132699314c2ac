"""Exact neighbours of 256-bit hashes by multi-index hashing (Norouzi et al., 2012).

Two hashes that differ in at most `RADIUS` = 31 bits differ in at most one bit of some of their
sixteen 16-bit bands. So it is enough to look up every band and its sixteen one-bit neighbours, and
to count the bits of what lies there. FAISS does the same (`IndexBinaryMultiHash`), from hash maps
that take ten times as long to fill and to read.
"""

import numpy as np
from numpy.typing import NDArray

from models.arrays import Rows

BYTES = 32
RADIUS = 31  # bits; PDQ's authors count fewer as the same picture
Hashes = NDArray[np.uint8]  # [N, BYTES]
_BANDS = 16
_KEYS = 1 << 16
_TAIL = 4_096  # hashes that are compared one by one before the tables are built anew
_NEIGHBOURS = np.array([0, *(1 << bit for bit in range(16))], np.int64)


class HashIndex:
    """Hashes by row, in the order of adding; rows can be taken out and are not given again."""

    def __init__(self) -> None:
        self._hashes = np.empty((0, BYTES), np.uint8)
        self._present = np.empty(0, np.bool_)
        self._indexed = 0
        self._starts = np.zeros((_BANDS, _KEYS + 1), np.int64)
        self._rows = np.empty((_BANDS, 0), np.int32)

    def __len__(self) -> int:
        """Rows that are in."""
        return int(self._present.sum())

    def add(self, hashes: Hashes) -> Rows:
        """Add hashes [N, BYTES]; returns their rows [N]."""
        first = len(self._hashes)
        self._hashes = np.concatenate([self._hashes, hashes])
        self._present = np.concatenate([self._present, np.ones(len(hashes), np.bool_)])
        if len(self._hashes) - self._indexed > _TAIL:
            self._build()
        return np.arange(first, len(self._hashes), dtype=np.int64)

    def remove(self, rows: Rows) -> None:
        """Take rows [N] out."""
        self._present[rows] = False

    def within(self, hashes: Hashes, radius: int = RADIUS) -> tuple[Rows, Rows]:
        """Rows and distances [K] of all that lies near any of some hashes, nearest first.

        Args:
            hashes: [Q, BYTES], forms of one picture: a row is given once, at its least distance.
            radius: bits, RADIUS at most.

        Raises:
            ValueError: the radius is larger than the tables are exact for.
        """
        if radius > RADIUS:
            raise ValueError(f"radius {radius}: the tables are exact up to {RADIUS} bits")
        tail = np.arange(self._indexed, len(self._hashes), dtype=np.int64)
        rows, distances = [], []
        for hash_ in hashes:
            candidates = np.concatenate([self._near(hash_), tail])
            differing = np.bitwise_count(self._hashes[candidates] ^ hash_).sum(1, dtype=np.int64)
            found = (differing <= radius) & self._present[candidates]
            rows.append(candidates[found])
            distances.append(differing[found])
        return _nearest(np.concatenate(rows), np.concatenate(distances))

    def _near(self, hash_: Hashes) -> Rows:
        """Rows that share a band with a hash, but for one bit."""
        keys = hash_.view("<u2").astype(np.int64)[:, None] ^ _NEIGHBOURS
        bands = np.arange(_BANDS)[:, None]
        starts, ends = self._starts[bands, keys].ravel(), self._starts[bands, keys + 1].ravel()
        lengths = ends - starts
        total = int(lengths.sum())
        # Positions of all runs at once: each run counts on from its own start.
        before = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        band = np.repeat(np.repeat(np.arange(_BANDS), len(_NEIGHBOURS)), lengths)
        rows = self._rows[band, np.arange(total) + before]
        return np.unique(rows).astype(np.int64)

    def _build(self) -> None:
        self._indexed = len(self._hashes)
        bands = self._hashes.view("<u2")
        self._rows = np.empty((_BANDS, self._indexed), np.int32)
        for band in range(_BANDS):
            keys = bands[:, band]
            self._rows[band] = np.argsort(keys, kind="stable")
            counts = np.bincount(keys, minlength=_KEYS)
            self._starts[band] = np.concatenate([[0], np.cumsum(counts)])


def _nearest(rows: Rows, distances: Rows) -> tuple[Rows, Rows]:
    order = np.lexsort((rows, distances))
    rows, distances = rows[order], distances[order]
    _, first = np.unique(rows, return_index=True)
    kept = np.sort(first)
    return rows[kept], distances[kept]
