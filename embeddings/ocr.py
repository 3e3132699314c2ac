"""Text in pictures, Chinese and English (PP-OCRv6 by RapidOCR; its models come in the package)."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from rapidocr import RapidOCR

from models.arrays import Box, Pixels

LONGEST_SIDE = 960  # pixels; time grows with the area, and claims are written large
SCOUTED_SIDE = 320
_LINE_PROPORTION = 1.8  # of length to height; textures that look like letters are squarish
_SETTINGS = {
    "Global.log_level": "critical",
    "Global.use_vertical_padding": False,
    "Global.max_side_len": 4_096,
    "Det.limit_type": "max",
    "Det.limit_side_len": LONGEST_SIDE,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}

_SCOUTING = {"Det.limit_side_len": SCOUTED_SIDE, "Det.box_thresh": 0.5}


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


def has_text(picture: Pixels) -> bool:
    """Whether a look at a small version finds anything as long and thin as a line of text."""
    found = _scout()(np.ascontiguousarray(picture[:, :, ::-1]), use_rec=False, use_cls=False)
    if found.boxes is None:
        return False
    edges = np.linalg.norm(np.diff(found.boxes[:, :3], axis=1), axis=2)  # [L, 2] along and across
    longer = edges.max(1) / np.maximum(edges.min(1), 1)
    return bool((longer >= _LINE_PROPORTION).any())


def as_text(lines: Sequence[TextLine]) -> str:
    """Lines as one text, one character between two: a space where a sentence goes on below."""
    parts = [lines[0].text] if lines else []
    for before, after in itertools.pairwise(lines):
        parts += [" " if _goes_on(before.box, after.box) else "\n", after.text]
    return "".join(parts)


def _goes_on(before: Box, after: Box) -> bool:
    """Whether a line stands right below another."""
    shared = min(before[0] + before[2], after[0] + after[2]) - max(before[0], after[0])
    gap = after[1] - (before[1] + before[3])
    higher = max(before[3], after[3])
    return shared > 0 and -0.5 * higher < gap < 0.8 * higher


@cache
def _engine() -> RapidOCR:
    return RapidOCR(params=_SETTINGS)


@cache
def _scout() -> RapidOCR:
    return RapidOCR(params=_SETTINGS | _SCOUTING)


def _around(corners: np.ndarray) -> Box:
    left, top = np.floor(corners.min(0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(0)).astype(int).tolist()
    return left, top, right - left, bottom - top
