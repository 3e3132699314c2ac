"""Fonts that come with packages, Chinese and Latin, and letters drawn in them.

Noto Sans SC and Noto Serif SC (package pylopdf-fonts-zh-cn, SIL Open Font License), WenQuanYi Micro
Hei (inside OpenCV, Apache-2.0 with font exception), Roboto (package fontpkg-roboto, SIL Open Font
License), Aileron (inside Pillow, CC0).
"""

import importlib.resources
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

import cv2
import fontpkg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Letters = NDArray[np.uint8]  # [H, W] how much of a pixel is ink


@dataclass(frozen=True)
class Font:
    """A face and how it is set.

    Attributes:
        face: which font. part: "tuned" or "held_out". weight: 0 as it is, more is bolder.
        slant: how far letters lean, in heights.
    """

    name: str
    face: Literal["noto_sans", "noto_serif", "wenquanyi", "roboto", "roboto_condensed", "aileron"]
    part: Literal["tuned", "held_out"]
    weight: int = 0
    slant: float = 0.0

    def has(self, language: str) -> bool:
        """Whether the face has a language's letters."""
        return language == "en" or self.face in {"noto_sans", "noto_serif", "wenquanyi"}


FONTS = (
    Font("Noto Sans SC", "noto_sans", "tuned"),
    Font("Noto Sans SC bold", "noto_sans", "tuned", weight=1),
    Font("Roboto", "roboto", "tuned"),
    Font("Noto Serif SC", "noto_serif", "held_out"),
    Font("Noto Serif SC bold", "noto_serif", "held_out", weight=1),
    Font("Noto Serif SC slanted", "noto_serif", "held_out", slant=0.2),
    Font("WenQuanYi Micro Hei", "wenquanyi", "held_out"),
    Font("WenQuanYi Micro Hei bold", "wenquanyi", "held_out", weight=400),
    Font("Roboto Condensed black", "roboto_condensed", "held_out"),
    Font("Aileron", "aileron", "held_out"),
    Font("Aileron bold slanted", "aileron", "held_out", weight=1, slant=0.2),
)


def lettered(text: str, font: Font, size: int) -> Letters:
    """Ink [H, W] of one line, tightly cut; letters are about `size` pixels high.

    Raises:
        ValueError: nothing of the text can be seen.
    """
    ink = _by_opencv(text, font, size) if font.face == "wenquanyi" else _by_pillow(text, font, size)
    if font.slant:
        ink = _slanted(ink, font.slant)
    rows, columns = np.flatnonzero(ink.max(1)), np.flatnonzero(ink.max(0))
    if not len(rows):
        raise ValueError(f"{text!r} leaves no ink in {font.name}")
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _by_pillow(text: str, font: Font, size: int) -> Letters:
    face = _face(font.face, size)
    stroke = max(1, size // 24) if font.weight else 0
    left, top, right, bottom = face.getbbox(text, stroke_width=stroke)
    paper = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    pen = ImageDraw.Draw(paper)
    pen.text((4 - left, 4 - top), text, 255, face, stroke_width=stroke, stroke_fill=255)
    return np.asarray(paper, np.uint8)


def _by_opencv(text: str, font: Font, size: int) -> Letters:
    paper = np.zeros((size * 2, size * (len(text) + 2), 3), np.uint8)
    ink = (255, 255, 255)
    cv2.putText(
        paper,
        text,
        (size // 2, int(size * 1.4)),
        ink,
        cv2.FontFace("uni"),
        size,
        font.weight or 400,
    )
    return paper[:, :, 0]


def _slanted(ink: Letters, slant: float) -> Letters:
    height, width = ink.shape
    lean = np.array([[1, -slant, slant * height], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(ink, lean, (width + int(slant * height), height)), np.uint8)


@lru_cache(64)
def _face(name: str, size: int) -> ImageFont.FreeTypeFont:
    if name == "aileron":
        return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))
    if name.startswith("roboto"):
        roboto = ImageFont.truetype(str(fontpkg.path("Roboto")), size)
        if name == "roboto_condensed":
            roboto.set_variation_by_axes([900, 75])
        return roboto
    files = {"noto_sans": "NotoSansSC-Regular.otf", "noto_serif": "NotoSerifSC-Regular.otf"}
    path = importlib.resources.files("pylopdf_fonts_zh_cn") / files[name]
    return ImageFont.truetype(str(path), size)
