"""The picture model: encoder and head of one moderation bundle, ONNX, no torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from embeddings.image import DIMENSIONS, SEEN, SIDE, ImageEncoder, load_image_encoder
from models.arrays import Pixels, Vectors
from models.bundle import Bundle, BundleError, Tensor, check_signature, load_session

GRAPH = "picture_classifier.onnx"
POLICIES = "picture_policies.json"
GOLDEN = "picture_golden.json"
TOLERANCE = 5e-3  # float32 sums of deep graphs differ between processors
_GOLDEN_COUNT = 3


@dataclass(frozen=True)
class PictureScores:
    """What the model says of B pictures.

    Attributes:
        policies: [B, P] probability of each policy. labels: [B, K] of each label, its likeliest
            policy's.
        seen: [B, D] what the encoder sees, for `embeddings.fingerprint`.
    """

    policies: Vectors
    labels: Vectors
    seen: Vectors


@dataclass(frozen=True)
class PictureModel:
    """One picture model, loaded.

    Attributes:
        version: the bundle's.
        policies: P names, and the label that each is evidence for.
        encoder: of pictures. head: ONNX session over its vectors.
    """

    version: str
    policies: dict[str, str]
    encoder: ImageEncoder
    head: ort.InferenceSession

    @property
    def labels(self) -> tuple[str, ...]:
        """K names, in the order of the scores."""
        return tuple(dict.fromkeys(self.policies.values()))

    def look(self, pictures: Sequence[Pixels]) -> PictureScores:
        """Scores of B pictures [H, W, 3] of any size."""
        vectors = self.encoder.encode(pictures)
        [answer] = self.head.run(["probabilities"], {"vectors": vectors})
        policies = np.asarray(answer, np.float32)
        of = np.array(list(self.policies.values()))
        labels = np.empty((len(pictures), len(self.labels)), np.float32)
        for k, label in enumerate(self.labels):
            labels[:, k] = policies[:, of == label].max(1)
        return PictureScores(policies, labels, vectors[:, :SEEN])


def load_picture_model(bundle: Bundle) -> PictureModel | None:
    """Load the picture part of a verified moderation bundle; None where it has none.

    Raises:
        BundleError: a graph is damaged, or a golden picture scores otherwise than when it was made.
    """
    folder = bundle.folder
    if not (folder / GRAPH).exists():
        return None
    policies, golden = _read(folder / POLICIES), _read(folder / GOLDEN)
    head = load_session(folder / GRAPH)
    vectors = Tensor("tensor(float)", (None, DIMENSIONS))
    answer = Tensor("tensor(float)", (None, len(policies)))
    check_signature(folder / GRAPH, head, {"vectors": vectors}, {"probabilities": answer})
    model = PictureModel(bundle.manifest.version, policies, load_image_encoder(folder), head)
    found = model.look(golden_pictures(int(golden["seed"]))).policies
    expected = np.array(golden["scores"], np.float32)
    if found.shape != expected.shape or not np.allclose(found, expected, atol=TOLERANCE):
        raise BundleError(f"{folder}: {GRAPH} and {GOLDEN} disagree; train the bundle anew")
    return model


def picture_labels(folder: Path) -> tuple[str, ...]:
    """Labels that the picture part of a bundle's folder scores; none where it has no such part.

    Raises:
        BundleError: its policies cannot be read.
    """
    path = folder / POLICIES
    return tuple(dict.fromkeys(_read(path).values())) if path.exists() else ()


def golden_pictures(seed: int) -> list[Pixels]:
    """Pictures of soft blots, the same for the same seed everywhere."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (_GOLDEN_COUNT, 8, 8, 3), np.uint8)
    return [np.kron(blots, np.ones((SIDE // 8, SIDE // 8, 1), np.uint8)) for blots in coarse]


def _read(path: Path) -> dict[str, str]:
    try:
        content: dict[str, str] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    return content
