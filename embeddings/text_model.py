"""The text model: the classifier of one moderation bundle, ONNX, no torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort

from embeddings.text_encoder import TextEncoder, load_text_encoder
from models.arrays import Vectors
from models.bundle import Bundle, BundleError, Tensor, check_signature, load_session, open_bundle
from models.text_features import WINDOW_CHARACTERS, text_arrays

KIND: Literal["moderation"] = "moderation"
GRAPH = "text_classifier.onnx"
LABELS = "labels.json"
GOLDEN = "golden.json"
CONTENT_VALUES = ("strong_use", "weak_use", "no_use")
TOLERANCE = 1e-3  # float32 sums differ between processors
WINDOW_STEP = 500  # characters; windows share the rest, so that no sentence is only ever cut
_WINDOWS_AT_ONCE = 64


@dataclass(frozen=True)
class TextModel:
    """One classifier, loaded.

    Attributes:
        version: the bundle's. labels: K names, in the order of the scores.
        session: of the classifier's graph. encoder: of sentences, whose encodings it reads.
    """

    version: str
    labels: tuple[str, ...]
    session: ort.InferenceSession
    encoder: TextEncoder

    def judged(self, texts: Sequence[str]) -> tuple[Vectors, Vectors]:
        """Calibrated probabilities [B, K] and content values [B, 3] of B texts.

        Of a long text the worst windows are scored, and its beginning is valued.

        Raises:
            TextError: a text holds a lone surrogate.
        """
        parts = [windows(text) for text in texts]
        rows = np.repeat(np.arange(len(parts)), [len(of) for of in parts])
        pieces = [window for of in parts for window in of]
        worst = np.zeros((len(texts), len(self.labels)), np.float32)
        values = [np.zeros((0, len(CONTENT_VALUES)), np.float32)]
        for first in range(0, len(pieces), _WINDOWS_AT_ONCE):
            part = slice(first, first + _WINDOWS_AT_ONCE)
            found, of_use = run(self.session, self.encoder, pieces[part])
            np.maximum.at(worst, rows[part], found)
            values.append(of_use)
        worst[[not text.strip() for text in texts]] = 0.0  # of nothing it would give its prior
        beginnings = np.searchsorted(rows, np.arange(len(texts)))
        return worst, np.concatenate(values)[beginnings]

    def scores(self, texts: Sequence[str]) -> Vectors:
        """[B, K] calibrated probabilities; see `judged`."""
        return self.judged(texts)[0]

    def content_values(self, texts: Sequence[str]) -> Vectors:
        """[B, 3] probabilities of CONTENT_VALUES; see `judged`."""
        return self.judged(texts)[1]


def windows(text: str) -> list[str]:
    """The parts of a text that the classifier reads one by one."""
    starts = range(0, max(1, len(text) - WINDOW_CHARACTERS + WINDOW_STEP), WINDOW_STEP)
    return [text[start : start + WINDOW_CHARACTERS] for start in starts]


def run(
    session: ort.InferenceSession, encoder: TextEncoder, texts: Sequence[str]
) -> tuple[Vectors, Vectors]:
    """Probabilities [B, K] and content values [B, 3] of B texts, each up to WINDOW_CHARACTERS."""
    arrays = text_arrays(texts)
    given = {
        "features": arrays.features,
        "frequencies": arrays.frequencies,
        "encodings": encoder.encode(arrays.plain),
    }
    probabilities, values = session.run(["probabilities", "content_values"], given)
    return np.asarray(probabilities, np.float32), np.asarray(values, np.float32)


def load_text_model(folder: Path) -> TextModel:
    """Load a moderation bundle and let it score its golden texts.

    Raises:
        BundleError: a checksum, the graph or a golden score disagrees; names the file.
    """
    model = assemble(open_bundle(folder, KIND))
    golden = _read(folder / GOLDEN)
    try:
        texts, expected = golden["texts"], np.array(golden["scores"], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / GOLDEN}: holds no golden texts: {error!r}") from error
    found = model.scores(texts)
    if found.shape != expected.shape or not np.allclose(found, expected, atol=TOLERANCE):
        raise BundleError(
            f"{folder}: {GRAPH} and {GOLDEN} disagree: texts are read otherwise since the bundle "
            "was made; train it anew"
        )
    return model


def assemble(bundle: Bundle) -> TextModel:
    """Open the graph, its golden texts not yet scored.

    Raises:
        BundleError: labels and graph disagree with each other or with the manifest.
    """
    labels = tuple(_read(bundle.folder / LABELS))
    if len(labels) != bundle.manifest.dimensions.get("labels"):
        raise BundleError(f"{bundle.folder / LABELS}: {len(labels)} labels, the manifest says else")
    encoder = load_text_encoder(bundle.folder)
    path = bundle.folder / GRAPH
    session = load_session(path)
    rows = Tensor("tensor(int64)", (None, None))
    answer = Tensor("tensor(float)", (None, len(labels)))
    given = {
        "features": rows,
        "frequencies": Tensor("tensor(float)", (None, None)),
        "encodings": Tensor("tensor(float)", (None, encoder.facts.width)),
    }
    values = Tensor("tensor(float)", (None, len(CONTENT_VALUES)))
    answers = {"probabilities": answer, "content_values": values}
    check_signature(path, session, given, answers)
    return TextModel(bundle.manifest.version, labels, session, encoder)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
