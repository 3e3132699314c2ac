"""A part of a moderation bundle that stands beside its text model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class BundlePart:
    """What was written into a bundle's folder.

    Attributes:
        parity: the largest difference between torch and ONNX. figures: of its evaluation.
        card: what the model card says of it, in Markdown.
    """

    parity: float
    figures: dict[str, Any]
    card: str


PartWriter = Callable[[Path], BundlePart]
