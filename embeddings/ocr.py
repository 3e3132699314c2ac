"""Text in pictures, Chinese and English (PP-OCRv6 by RapidOCR; its models come in the package)."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from rapidocr import RapidOCR

from models.arrays import Box, Pixels

GATE_SIDE = 448  # pixels, longest, of the copy in which text is looked for
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
    bgr = np.ascontiguousarray(picture[:, :, ::-1])
    found = _engine()(bgr, use_det=True, use_cls=True, use_rec=True)  # or it does as last time
    if found.boxes is None or found.txts is None:
        return []
    return [
        TextLine(text, _around(corners), float(score))
        for text, corners, score in zip(found.txts, found.boxes, found.scores, strict=True)
    ]


def has_text(picture: Pixels) -> bool:
    """Whether a picture [H, W, 3] may hold text: the detector alone, on a smaller copy.

    A tenth of what reading takes. It sees what is legible at GATE_SIDE pixels.
    """
    scale = GATE_SIDE / max(picture.shape[:2])
    if scale < 1:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = np.ascontiguousarray(picture[:, :, ::-1])
    found = _engine()(bgr, use_det=True, use_cls=False, use_rec=False)
    return found.boxes is not None


@cache
def _engine() -> RapidOCR:
    return RapidOCR(params=_SETTINGS)


def _around(corners: np.ndarray) -> Box:
    left, top = np.floor(corners.min(0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(0)).astype(int).tolist()
    return left, top, right - left, bottom - top
