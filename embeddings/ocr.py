"""Text in pictures, Chinese and English (PP-OCRv6 by RapidOCR; its models come in the package)."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from rapidocr import RapidOCR

from models.arrays import Box, Pixels

LONGEST_SIDE = 960  # pixels; time grows with the area, and claims are written large
_SETTINGS = {
    "Global.log_level": "critical",
    "Global.use_vertical_padding": False,
    "Global.max_side_len": 4_096,
    "Det.limit_type": "max",
    "Det.limit_side_len": LONGEST_SIDE,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


@dataclass(frozen=True)
class TextLine:
    """A line of text. box: around it, upright. confidence: of the reading, in [0, 1]."""

    text: str
    box: Box
    confidence: float


def read(picture: Pixels) -> list[TextLine]:
    """Lines of a picture [H, W, 3], from top to bottom."""
    found = _engine()(np.ascontiguousarray(picture[:, :, ::-1]))
    if found.boxes is None or found.txts is None:
        return []
    return [
        TextLine(text, _around(corners), float(score))
        for text, corners, score in zip(found.txts, found.boxes, found.scores, strict=True)
    ]


@cache
def _engine() -> RapidOCR:
    return RapidOCR(params=_SETTINGS)


def _around(corners: np.ndarray) -> Box:
    left, top = np.floor(corners.min(0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(0)).astype(int).tolist()
    return left, top, right - left, bottom - top
