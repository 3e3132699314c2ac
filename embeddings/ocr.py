"""Text in pictures, Chinese and English (PP-OCRv6 by RapidOCR; its models come in the package)."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

from models.arrays import Box, Pixels, Vectors

LONGEST_SIDE = 960  # pixels; time grows with the area, and claims are written large
SCOUTED_SIDE = 448
LEAST_CONFIDENCE = 0.5  # below it mostly texture was read
_LINE_PROPORTION = 1.3  # of length to height; textures that look like letters are squarish
_WIDER = 0.9  # of a line's height, at each end
_SAME_SIZE = 2.5  # of letters of one sentence: the larger to the smaller
_TURNED = 1.5  # of height to width: a line that runs down the picture
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_LETTERS = re.compile(r"(?<![\w@.:/-])[A-Za-z]{6,60}(?![\w@:/-]|\.\w)")  # of no address and no code
_QUOTE_FOR_GAP = re.compile(r"(?<=[A-Za-z]{3})'(?=[A-Za-z]{3})")
_SETTINGS = {
    "Global.log_level": "critical",
    "Global.use_vertical_padding": False,
    "Global.max_side_len": 4_096,
    "Global.text_score": 0.0,
    "Det.limit_type": "max",
    "Det.limit_side_len": LONGEST_SIDE,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


@dataclass(frozen=True)
class TextLine:
    """A line of text.

    Attributes:
        box: around it, upright. confidence: of the reading, in [0, 1].
        time_s: of a video, when it is shown.
    """

    text: str
    box: Box
    confidence: float
    time_s: float = 0.0


def read(picture: Pixels) -> list[TextLine]:
    """Lines of a picture [H, W, 3], from top to bottom."""
    blue_first = np.ascontiguousarray(picture[:, :, ::-1])
    corners = _found(blue_first)
    lines = [_line(blue_first, quad) for quad in corners]
    return [line for line in lines if line is not None]


def has_text(picture: Pixels) -> bool:
    """Whether a look at a small copy finds anything as long and thin as a line of text."""
    scale = SCOUTED_SIDE / max(picture.shape[:2])
    if scale < 1:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    corners = _found(np.ascontiguousarray(picture[:, :, ::-1]))
    edges = np.linalg.norm(np.diff(corners[:, :3], axis=1), axis=2)  # [L, 2] along and across
    longer = edges.max(1, initial=0) / np.maximum(edges.min(1, initial=np.inf), 1)
    return bool((longer >= _LINE_PROPORTION).any())


def as_text(lines: Sequence[TextLine]) -> str:
    """Lines as one text, one character between two: a space where a sentence goes on below."""
    parts = [lines[0].text] if lines else []
    for before, after in itertools.pairwise(lines):
        goes_on = before.time_s == after.time_s and _goes_on(before.box, after.box)
        parts += [" " if goes_on else "\n", after.text]
    return "".join(parts)


def _goes_on(before: Box, after: Box) -> bool:
    """Whether a line stands right below another, in letters of about the same size."""
    shared = min(before[0] + before[2], after[0] + after[2]) - max(before[0], after[0])
    gap = after[1] - (before[1] + before[3])
    lower, higher = sorted((before[3], after[3]))
    return shared > 0 and -0.5 * higher < gap < 0.8 * higher and higher <= _SAME_SIZE * lower


def _found(blue_first: Pixels) -> Vectors:
    """[L, 4, 2] corners of lines, clockwise from the top left, from top to bottom."""
    boxes = _detector()(blue_first).boxes
    return np.empty((0, 4, 2), np.float32) if boxes is None else np.asarray(boxes, np.float32)


def _line(blue_first: Pixels, corners: Vectors) -> TextLine | None:
    """What stands in one place; None where it cannot be read, or is one letter.

    What is Chinese, or cannot be read, is read once more in a wider cut: the detector takes a
    character that is a mere stroke for a dash, so that 销量第一 would be read 销量第. Other lines
    are not, as beside them letters come out of texture.
    """
    text, confidence = _read(cut(blue_first, corners))
    if confidence < LEAST_CONFIDENCE or _IDEOGRAPH.search(text):
        wider, sure = _read(cut(blue_first, widened(corners)))
        if sure >= LEAST_CONFIDENCE and (confidence < LEAST_CONFIDENCE or text in wider):
            text, confidence = wider, sure
    text = spaced(text.strip())
    if confidence < LEAST_CONFIDENCE or len(text) < 2:
        return None
    return TextLine(text, _around(corners), confidence)


def _read(blue_first: Pixels) -> tuple[str, float]:
    """The text of a cut and the confidence in it; nothing at 0 where there is none."""
    found = _reader()(blue_first)
    return (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)


def spaced(text: str) -> str:
    """A line with the gaps between words that the reader lost: CURESCANCER is CURES CANCER.

    Words are told by their frequency (wordninja). What comes out as crumbs is left as it is: names
    and codes are no words.
    """
    return _LETTERS.sub(_words, _QUOTE_FOR_GAP.sub(" ", text))


def _words(run: re.Match[str]) -> str:
    import wordninja

    parts: list[str] = wordninja.split(run[0])
    crumbs = min(map(len, parts)) < 2 or len(run[0]) < 3 * len(parts)
    return run[0] if crumbs else " ".join(parts)


def widened(corners: Vectors) -> Vectors:
    """[4, 2] corners of a line, longer at both ends."""
    first, second = (0, 1), (3, 2)  # ends of the two long edges
    if np.linalg.norm(corners[3] - corners[0]) > np.linalg.norm(corners[1] - corners[0]):
        first, second = (0, 3), (1, 2)
    across = float(np.linalg.norm(corners[first[0]] - corners[second[0]]))
    wider = corners.copy()
    for start, end in (first, second):
        along = corners[end] - corners[start]
        step = along / max(float(np.linalg.norm(along)), 1e-6) * across * _WIDER
        wider[start], wider[end] = corners[start] - step, corners[end] + step
    return wider


def cut(picture: Pixels, corners: Vectors) -> Pixels:
    """[H, W, 3] what lies between four corners, upright; edges go on outside of the picture."""
    edges = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    width, height = (max(1, int(max(edges[side], edges[side + 2]))) for side in (0, 1))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    flat = cv2.warpPerspective(
        picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    upright = np.rot90(flat) if height >= _TURNED * width else flat
    return np.ascontiguousarray(upright, np.uint8)


@cache
def _detector() -> Any:
    from rapidocr import RapidOCR  # takes seconds; a server without pictures never needs it

    return RapidOCR(params=_SETTINGS | {"Global.use_cls": False, "Global.use_rec": False})


@cache
def _reader() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(params=_SETTINGS | {"Global.use_det": False})


def _around(corners: Vectors) -> Box:
    left, top = np.floor(corners.min(0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(0)).astype(int).tolist()
    return left, top, right - left, bottom - top
