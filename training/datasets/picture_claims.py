"""Pictures composed with words on them: claims, contact codes, honest offers.

Fonts, layouts and ways of hiding are of two parts. Whatever is adjusted looks at `tuned` ones;
`held_out` ones are for measuring alone.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.random import Generator

from configs.load import load
from configs.schema import Section
from models.arrays import Pixels
from training.datasets.layouts import HIDINGS, LAYOUTS
from training.datasets.lettering import FONTS, Font

Part = Literal["tuned", "held_out"]
Language = Literal["zh", "en"]
Drawn = TypeVar("Drawn")
SIDE = 640  # pixels, the longest of a composed picture
_WORDS = Path(__file__).with_name("picture_claims.yaml")


class Wordings(Section):
    """Lines of one part."""

    claims: dict[str, tuple[str, ...]]
    honest: tuple[str, ...]


class LanguageWords(Section):
    """Lines of one language, and what stands for <goods>."""

    goods: tuple[str, ...]
    tuned: Wordings
    held_out: Wordings

    def part(self, name: Part) -> Wordings:
        """Wordings of a part."""
        return self.tuned if name == "tuned" else self.held_out


class PictureWords(Section):
    """All lines."""

    zh: LanguageWords
    en: LanguageWords

    def language(self, name: Language) -> LanguageWords:
        """Lines of a language."""
        return self.zh if name == "zh" else self.en


@dataclass(frozen=True)
class ComposedPicture:
    """A picture with words on it.

    Attributes:
        pixels: [H, W, 3]. texts: what was written, line by line; the claim is among them, if any.
        label: what the claim breaks; None where all is honest.
        font: its name. layout: likewise. hiding: likewise, "none" where nothing is hidden.
    """

    pixels: Pixels
    texts: tuple[str, ...]
    label: str | None
    font: str
    layout: str
    hiding: str


def composed(
    grounds: Sequence[Pixels],
    language: Language,
    part: Part,
    breaking: bool,
    rng: Generator,
) -> ComposedPicture:
    """Draw one picture: a ground, one to three lines, one of them a claim if `breaking`."""
    words = load_words().language(language)
    wordings = words.part(part)
    lines = [str(line) for line in rng.choice(wordings.honest, int(rng.integers(1, 3)))]
    label = None
    if breaking:
        label = str(rng.choice(list(wordings.claims)))
        lines[int(rng.integers(len(lines)))] = str(rng.choice(wordings.claims[label]))
    texts = [filled(line, words.goods, rng) for line in lines]
    return lettered_picture(grounds, texts, label, (language, part), rng)


def lettered_picture(
    grounds: Sequence[Pixels],
    texts: Sequence[str],
    label: str | None,
    of: tuple[Language, Part],
    rng: Generator,
) -> ComposedPicture:
    """Draw lines on one of some grounds; what breaks a label is hidden in one of the part's ways.

    Args:
        grounds: pictures. texts: lines, of at least one letter each.
        label: what they break, if anything.
        of: language of the lines; part of fonts, layouts and ways of hiding.
        rng: of every draw.
    """
    language, part = of
    font: Font = _drawn([font for font in FONTS if font.part == part and font.has(language)], rng)
    layout, place = _drawn(sorted(LAYOUTS[part].items()), rng)
    hiding, hide = _drawn(sorted(HIDINGS[part].items()), rng) if label else ("none", None)
    ground = fitted(_drawn(grounds, rng))
    lettered = [hide(text, rng) if hide else text for text in texts]
    pixels = photographed(place(ground, lettered, font, rng), rng)
    return ComposedPicture(pixels, tuple(texts), label, font.name, layout, hiding)


def filled(line: str, goods: Sequence[str], rng: Generator) -> str:
    """A line with its blanks filled in."""
    letters = list(string.ascii_lowercase)
    digits = [str(digit) for digit in rng.integers(0, 10, 12)]
    blanks = {
        "goods": str(rng.choice(list(goods))),
        "code": "".join(rng.choice(letters, 6)) + "".join(digits[:3]),
        "phone": "13" + "".join(digits[:9]),
        "phone4": f"01{digits[0]}-{''.join(digits[1:5])}",
        "phone7": "".join(digits[:7]),
        "old": str(int(rng.integers(10, 99))) + "99",
        "low": str(int(rng.integers(2, 9))),
    }
    for name, value in blanks.items():
        line = line.replace(f"<{name}>", value)
    return line


def fitted(picture: Pixels) -> Pixels:
    """The picture with its longest side at SIDE."""
    scale = SIDE / max(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def photographed(picture: Pixels, rng: Generator) -> Pixels:
    """The picture compressed, at times after a little blur."""
    if rng.random() < 0.3:
        picture = np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)
    quality = int(rng.integers(55, 95))
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


@cache
def load_words() -> PictureWords:
    """Lines of ``picture_claims.yaml``."""
    return load(_WORDS, PictureWords, environ={})


def _drawn(some: Sequence[Drawn], rng: Generator) -> Drawn:
    return some[int(rng.integers(len(some)))]
