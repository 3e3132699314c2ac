"""Banks of pictures that are known, and whether a picture is one of them.

Two ways find an entry. PDQ finds the same picture recoloured, scaled, compressed anew or mirrored.
What cuts, frames, turns or covers it is found by the entries that look most alike to an encoder,
each checked by its geometry: enough local features must lie as in the entry, under one shift, turn
and scale.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from embeddings.fingerprint import FORMS, LEAST_QUALITY, Fingerprint, LocalFeatures
from embeddings.hash_index import RADIUS, HashIndex
from models.arrays import Rows, Vectors

LOOK_ALIKES = 8  # entries whose geometry is compared
LEAST_COSINE = 0.45
LEAST_INLIERS = 18  # places of local features that agree on one shift, turn and scale
_INLIER_ERROR = 6.0  # pixels
_LEAST_SCALE, _MOST_SCALE = 0.5, 2.0
_PLACE = 8.0  # pixels
_RATIO = 0.85  # of the best to the second best descriptor (Lowe, 2004)


@dataclass(frozen=True)
class BankMatch:
    """An entry that a picture is a copy of.

    Attributes:
        entry: its id. way: what found it.
        distance: of PDQ, in bits of 256; None where geometry found it.
        inliers: local features that agree; None where PDQ found it.
    """

    entry: str
    way: Literal["pdq", "geometry"]
    distance: int | None
    inliers: int | None


class PictureBank:
    """Entries by id. Not for several threads at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._entries: dict[str, tuple[Fingerprint, Rows]] = {}
        self._hashes = HashIndex()
        self._owners: list[str] = []  # of each row of the hash index
        self._seen: Vectors | None = None  # [E, D], in the order of _entries; None when stale

    def add(self, entry: str, known: Fingerprint) -> None:
        """Add an entry, or replace the one of this id."""
        self.remove(entry)
        upright = known.hashes[::FORMS] if known.quality >= LEAST_QUALITY else known.hashes[:0]
        self._owners.extend([entry] * len(upright))
        self._entries[entry] = (known, self._hashes.add(upright))
        self._seen = None

    def remove(self, entry: str) -> bool:
        """Take an entry out; returns whether there was one."""
        known = self._entries.pop(entry, None)
        if known is None:
            return False
        self._hashes.remove(known[1])
        self._seen = None
        return True

    def entries(self) -> list[str]:
        """Ids, in the order of adding."""
        return list(self._entries)

    def match(self, asked: Fingerprint) -> list[BankMatch]:
        """Entries that the picture is a copy of, the surest first."""
        found: dict[str, BankMatch] = {}
        if asked.quality >= LEAST_QUALITY:
            for row, distance in zip(*self._hashes.within(asked.hashes, RADIUS), strict=True):
                entry = self._owners[row]
                found.setdefault(entry, BankMatch(entry, "pdq", int(distance), None))
        by_geometry = []
        for entry in self._look_alikes(asked):
            if entry not in found:
                known = self._entries[entry][0].local
                inliers = max(agreeing(asked.local, known), agreeing(asked.mirrored, known))
                if inliers >= LEAST_INLIERS:
                    by_geometry.append(BankMatch(entry, "geometry", None, inliers))
        by_geometry.sort(key=lambda match: -(match.inliers or 0))
        return [*found.values(), *by_geometry]

    def _look_alikes(self, asked: Fingerprint) -> Iterable[str]:
        if asked.seen is None or not self._entries:
            return []
        if self._seen is None:
            nothing = np.zeros_like(asked.seen)
            vectors = [known.seen for known, _ in self._entries.values()]
            self._seen = np.stack([nothing if v is None else v for v in vectors])
        cosines = self._seen @ asked.seen
        best = np.argsort(-cosines)[:LOOK_ALIKES]
        names = list(self._entries)
        return [names[row] for row in best if cosines[row] >= LEAST_COSINE]


def agreeing(one: LocalFeatures, other: LocalFeatures) -> int:
    """Local features of two pictures that lie alike under one shift, turn and scale."""
    if min(len(one.points), len(other.points)) < LEAST_INLIERS:
        return 0
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(one.descriptors, other.descriptors, k=2)
    kept = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    if len(kept) < LEAST_INLIERS:
        return 0
    here = one.points[[match.queryIdx for match in kept]]
    there = other.points[[match.trainIdx for match in kept]]
    cv2.setRNGSeed(0)
    matrix, inliers = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=_INLIER_ERROR)
    if matrix is None or not _LEAST_SCALE < np.hypot(matrix[0, 0], matrix[1, 0]) < _MOST_SCALE:
        return 0  # a transform that shrinks a picture to a point agrees with everything
    agree = inliers.ravel() > 0
    return min(_places(here[agree]), _places(there[agree]))


def _places(points: Vectors) -> int:
    """How many squares of a grid some points lie in: features crowd on corners."""
    return len(np.unique(points // _PLACE, axis=0))
