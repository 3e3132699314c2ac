"""The fusion of one moderation bundle: scores by modality into one score a label; ONNX."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from models.bundle import Bundle, BundleError, Tensor, check_signature, load_session
from models.modalities import MODALITIES, Modality

GRAPH = "fusion.onnx"
INPUTS = ("scores", "known")
TOLERANCE = 1e-3


@dataclass(frozen=True)
class FusionModel:
    """One fusion, loaded; labels: K names, in the order of the graph."""

    labels: tuple[str, ...]
    session: ort.InferenceSession

    def fused(self, scores: Mapping[Modality, Mapping[str, float]]) -> dict[str, float]:
        """One calibrated probability of each label that any modality scores."""
        given = np.zeros((1, len(MODALITIES), len(self.labels)), np.float32)
        known = np.zeros_like(given)
        for m, modality in enumerate(MODALITIES):
            for label, score in scores.get(modality, {}).items():
                k = self.labels.index(label)
                given[0, m, k], known[0, m, k] = score, 1
        [answer] = self.session.run(["probabilities"], {"scores": given, "known": known})
        told = known[0].any(0)
        return {label: float(answer[0, k]) for k, label in enumerate(self.labels) if told[k]}


def fused_labels(texts: tuple[str, ...], pictures: tuple[str, ...]) -> tuple[str, ...]:
    """Labels of a text model, then those that a picture model alone scores."""
    return tuple(dict.fromkeys((*texts, *pictures)))


def load_fusion(bundle: Bundle, labels: tuple[str, ...]) -> FusionModel | None:
    """Load the fusion of a verified moderation bundle; None where it has none.

    Args:
        bundle: of the models.
        labels: `fused_labels` of its models.

    Raises:
        BundleError: the graph is damaged, or changes what one text says alone.
    """
    path = bundle.folder / GRAPH
    if not path.exists():
        return None
    session = load_session(path)
    shape = Tensor("tensor(float)", (None, len(MODALITIES), len(labels)))
    answer = Tensor("tensor(float)", (None, len(labels)))
    check_signature(path, session, dict.fromkeys(INPUTS, shape), {"probabilities": answer})
    model = FusionModel(labels, session)
    alone = dict(zip(labels, np.linspace(0.05, 0.95, len(labels)).tolist(), strict=True))
    found = model.fused({"text": alone})
    if any(abs(found[label] - score) > TOLERANCE for label, score in alone.items()):
        raise BundleError(f"{path}: changes what one text says alone; train the bundle anew")
    return model
