"""Ways in which content speaks, in the order of every array that has one row each."""

from typing import Literal

Modality = Literal["text", "ocr", "image"]
MODALITIES: tuple[Modality, ...] = ("text", "ocr", "image")
