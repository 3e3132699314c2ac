"""The text classifier at run time: ONNX, no torch."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.arrays import Vectors
from models.bundle import load_session
from models.text_features import text_arrays


class TextScorer:
    """Calibrated probabilities of texts, one a label."""

    def __init__(self, folder: Path) -> None:
        """Open the graph and labels that ``training.train_classifier`` wrote."""
        self.labels: tuple[str, ...] = tuple(
            json.loads((folder / "labels.json").read_text("utf-8"))
        )
        self._session = load_session(folder / "text_classifier.onnx")

    def scores(self, texts: Sequence[str]) -> Vectors:
        """[B, K] probabilities.

        Raises:
            TextError: a text holds a lone surrogate.
        """
        arrays = text_arrays(texts)
        given = {"features": arrays.features, "words": arrays.words}
        [probabilities] = self._session.run(["probabilities"], given)
        return np.asarray(probabilities, np.float32)
