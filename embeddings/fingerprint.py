"""What a picture is known again by: perceptual hashes, local features, and what is seen in it."""

from dataclasses import dataclass

import cv2
import numpy as np
import pdqhash
from numpy.typing import NDArray

from embeddings.hash_index import Hashes
from models.arrays import Pixels, Rows, Vectors

FORMS = 8  # turns by quarters, each mirrored or not
LEAST_QUALITY = 50  # of PDQ, as its authors advise: flatter pictures all hash alike
_FEATURES = 576  # at most
_LOCAL_SIDE = 480  # pixels, longest; local features of both pictures should be of one scale
_CELL = 80  # pixels
_BORDER_TOLERANCE = 12.0  # of 255, within a row or column of the border
_MOST_BORDER = 0.2  # of a side


@dataclass(frozen=True)
class LocalFeatures:
    """ORB (Rublee et al., 2011). points: [P, 2] x, y. descriptors: [P, 32]."""

    points: Vectors
    descriptors: NDArray[np.uint8]


@dataclass(frozen=True)
class Fingerprint:
    """One picture.

    Attributes:
        hashes: [FORMS or 2 FORMS, 32] PDQ of its forms, the upright one first; where it has a
            border, those of its inside follow.
        quality: of the first hash, 0 to 100; below LEAST_QUALITY hashes say nothing.
        local: local features. mirrored: those of its mirror image.
        seen: [D] of unit length, what an encoder sees; None without one.
    """

    hashes: Hashes
    quality: int
    local: LocalFeatures
    mirrored: LocalFeatures
    seen: Vectors | None = None


def fingerprint(picture: Pixels, seen: Vectors | None = None) -> Fingerprint:
    """Fingerprint of a picture [H, W, 3]; `seen` [D] is its `embeddings.image` vector, if any."""
    inside = trimmed(picture)
    hashes, quality = _hashes(picture)
    if inside.shape != picture.shape:
        hashes = np.concatenate([hashes, _hashes(inside)[0]])
    small = _reduced(inside)
    return Fingerprint(
        hashes,
        quality,
        _local(small),
        _local(small[:, ::-1]),
        None if seen is None else seen / max(float(np.linalg.norm(seen)), 1e-12),
    )


def trimmed(picture: Pixels) -> Pixels:
    """The picture without a border of one colour, which may differ from side to side."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    top, bottom = _border(grey)
    left, right = _border(grey.T)
    return picture[top : len(grey) - bottom, left : grey.shape[1] - right]


def _border(grey: Vectors) -> tuple[int, int]:
    """Rows of one colour at the top and at the bottom; 0 where there is no end to them."""
    most = int(len(grey) * _MOST_BORDER)
    found = []
    for rows in (grey, grey[::-1]):
        plain = np.abs(rows[: most + 1] - np.median(rows[0])).max(1) <= _BORDER_TOLERANCE
        run = int(plain.argmin()) if not plain.all() else 0
        found.append(run)
    return found[0], found[1]


def _hashes(picture: Pixels) -> tuple[Hashes, int]:
    bits, quality = pdqhash.compute_dihedral(np.ascontiguousarray(picture))
    return np.packbits(np.asarray(bits, np.uint8), axis=1), int(quality)


def _reduced(picture: Pixels) -> NDArray[np.uint8]:
    """[H, W] grey, its longest side _LOCAL_SIDE."""
    scale = _LOCAL_SIDE / max(picture.shape[:2])
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=way), np.uint8)


def _local(grey: NDArray[np.uint8]) -> LocalFeatures:
    orb = cv2.ORB.create(nfeatures=_FEATURES * 6, fastThreshold=10)
    points, descriptors = orb.detectAndCompute(np.ascontiguousarray(grey), None)
    if descriptors is None:
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8))
    at = np.array([point.pt for point in points], np.float32)
    kept = _spread(at, np.array([point.response for point in points]))
    return LocalFeatures(at[kept], np.asarray(descriptors, np.uint8)[kept])


def _spread(at: Vectors, strength: NDArray[np.float64]) -> Rows:
    """The strongest of each cell: written letters are all corners and would take every place."""
    cells = (at // _CELL).astype(np.int64)
    order = np.lexsort((-strength, cells[:, 1], cells[:, 0]))
    _, starts, counts = np.unique(cells[order], axis=0, return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    return np.sort(order[rank < _FEATURES // (_LOCAL_SIDE // _CELL) ** 2])
