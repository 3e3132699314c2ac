"""Everything that looks at pictures, put together: picture model, QR codes, OCR, fingerprints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embeddings import fingerprint, ocr, qr
from models.arrays import Pixels, Vectors
from serving.moderation.sight import Glance

LEAST_SIDE = 24  # pixels; smaller pictures hold nothing that anybody could read


class Looks(Protocol):
    """What a picture model says. labels: [B, K]. seen: [B, D]."""

    @property
    def labels(self) -> Vectors:
        """[B, K] probabilities."""

    @property
    def seen(self) -> Vectors:
        """[B, D] what the encoder sees."""


class PictureModel(Protocol):
    """Scores pictures; an ``embeddings.picture_model.PictureModel`` in service."""

    @property
    def labels(self) -> tuple[str, ...]:
        """K names."""

    def look(self, pictures: Sequence[Pixels]) -> Looks:
        """Scores of B pictures."""


@dataclass(frozen=True)
class PackagedEyes:
    """``sight.Eyes`` over the packages; model: of the bundle, None where it has none."""

    model: PictureModel | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """See ``Eyes``."""
        return () if self.model is None else self.model.labels

    def glance(self, pixels: Pixels) -> Glance:
        """See ``Eyes``."""
        if self.model is None:
            return Glance(np.empty(0, np.float32), None)
        looks = self.model.look([pixels])
        return Glance(looks.labels[0], looks.seen[0])

    def codes(self, pixels: Pixels) -> Sequence[qr.QrCode]:
        """See ``Eyes``."""
        return qr.find(pixels)

    def has_text(self, pixels: Pixels) -> bool:
        """See ``Eyes``."""
        return min(pixels.shape[:2]) >= LEAST_SIDE and ocr.has_text(pixels)

    def lines(self, pixels: Pixels) -> Sequence[ocr.TextLine]:
        """See ``Eyes``."""
        return ocr.read(pixels)

    def fingerprint(self, pixels: Pixels, seen: Vectors | None) -> fingerprint.Fingerprint:
        """See ``Eyes``."""
        return fingerprint.fingerprint(pixels, seen)
