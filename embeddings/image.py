"""Pictures as vectors: what is seen (EfficientNet-Lite0) and how explicit it is (open_nsfw)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.arrays import Pixels, Vectors
from models.bundle import Tensor, check_signature, load_session

GRAPH = "image_encoder.onnx"
NSFW_GRAPH = "nsfw.onnx"
SIDE = 224  # pixels that both graphs see
SEEN = 1_280  # dimensions of what is seen; the last one of a vector is the explicitness
DIMENSIONS = SEEN + 1
_NSFW_SIDE = 256  # resized to this, then its middle cut out
_NSFW_MEAN = np.array([104, 117, 123], np.float32)  # blue, green, red
_AT_ONCE = 16


@dataclass(frozen=True)
class ImageEncoder:
    """Both graphs, loaded."""

    seen: ort.InferenceSession
    explicit: ort.InferenceSession

    def encode(self, pictures: Sequence[Pixels]) -> Vectors:
        """[B, DIMENSIONS] of B pictures of any size: what is seen, then the explicitness."""
        return np.concatenate([self.see(pictures), self.explicitness(pictures)[:, None]], 1)

    def see(self, pictures: Sequence[Pixels]) -> Vectors:
        """[B, SEEN] what is seen."""
        batches = [
            self.seen.run(["vectors"], {"pixels": np.stack([resized(p, SIDE) for p in some])})[0]
            for some in _batches(pictures)
        ]
        return np.concatenate([np.empty((0, SEEN), np.float32), *batches])

    def explicitness(self, pictures: Sequence[Pixels]) -> Vectors:
        """[B] open_nsfw's probability, which nothing here has calibrated."""
        batches = [
            self.explicit.run(None, {_name(self.explicit): _nsfw_input(some)})[0][:, 1]
            for some in _batches(pictures)
        ]
        return np.concatenate([np.empty(0, np.float32), *batches])


def load_image_encoder(folder: Path) -> ImageEncoder:
    """Open the two graphs of a folder or bundle.

    Raises:
        BundleError: one is missing or of another signature; names the file.
    """
    seen, explicit = load_session(folder / GRAPH), load_session(folder / NSFW_GRAPH)
    pixels = Tensor("tensor(uint8)", (None, SIDE, SIDE, 3))
    vectors = Tensor("tensor(float)", (None, SEEN))
    check_signature(folder / GRAPH, seen, {"pixels": pixels}, {"vectors": vectors})
    given = {_name(explicit): Tensor("tensor(float)", (None, SIDE, SIDE, 3))}
    found = {"outputs": Tensor("tensor(float)", (None, 2))}
    check_signature(folder / NSFW_GRAPH, explicit, given, found)
    return ImageEncoder(seen, explicit)


def resized(picture: Pixels, side: int) -> Pixels:
    """[side, side, 3], the whole picture, its proportions given up."""
    smaller = max(picture.shape[:2]) > side
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (side, side), interpolation=way), np.uint8)


def _batches(pictures: Sequence[Pixels]) -> Iterator[Sequence[Pixels]]:
    for first in range(0, len(pictures), _AT_ONCE):
        yield pictures[first : first + _AT_ONCE]


def _nsfw_input(pictures: Sequence[Pixels]) -> NDArray[np.float32]:
    edge = (_NSFW_SIDE - SIDE) // 2
    middle = slice(edge, edge + SIDE)
    squares = [resized(picture, _NSFW_SIDE)[middle, middle, ::-1] for picture in pictures]
    return np.stack(squares).astype(np.float32) - _NSFW_MEAN


def _name(session: ort.InferenceSession) -> str:
    return str(session.get_inputs()[0].name)
