"""How words are laid on a picture, and how they are hidden from machines that read."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.random import Generator

from models.arrays import Pixels
from training.datasets.lettering import Font, Letters, lettered

Layout = Callable[[Pixels, Sequence[str], Font, Generator], Pixels]
Hiding = Callable[[str, Generator], str]
Colour = tuple[int, int, int]
_INKS: tuple[Colour, ...] = (
    (255, 255, 255),
    (255, 230, 0),
    (20, 20, 20),
    (210, 0, 20),
    (0, 60, 160),
)
_PAPERS: tuple[Colour, ...] = (
    (200, 10, 30),
    (255, 220, 0),
    (250, 250, 250),
    (15, 15, 15),
    (0, 90, 70),
)
_LEAST_CONTRAST = 110.0  # of 255: what nobody can read misleads nobody


def painted(
    picture: Pixels, ink: Letters, at: tuple[int, int], colour: Colour, share: float = 1.0
) -> Pixels:
    """The picture with ink laid on at left and top, of a colour, `share` opaque."""
    left, top = max(0, at[0]), max(0, at[1])
    bottom, right = (
        min(picture.shape[0], top + ink.shape[0]),
        min(picture.shape[1], left + ink.shape[1]),
    )
    cut = ink[: bottom - top, : right - left, None].astype(np.float32) / 255 * share
    laid = picture.copy()
    part = laid[top:bottom, left:right].astype(np.float32)
    laid[top:bottom, left:right] = (part * (1 - cut) + cut * np.array(colour, np.float32)).round()
    return laid


def sized(text: str, font: Font, room: tuple[int, int], rng: Generator) -> Letters:
    """Letters of a line between 3 and 9 % of the room's width high, that fit into it."""
    size = int(rng.uniform(0.035, 0.09) * room[0])
    ink = lettered(text, font, max(18, size))
    scale = min(1.0, room[0] / ink.shape[1], room[1] / ink.shape[0])
    if scale == 1.0:
        return ink
    shape = (max(1, int(ink.shape[1] * scale)), max(1, int(ink.shape[0] * scale)))
    return np.asarray(cv2.resize(ink, shape, interpolation=cv2.INTER_AREA), np.uint8)


def contrasting(ground: Pixels | Colour, colours: Sequence[Colour], rng: Generator) -> Colour:
    """A colour that can be read on a ground."""
    grey = float(np.mean(ground))
    far = [c for c in colours if abs(float(np.mean(c)) - grey) >= _LEAST_CONTRAST]
    near = [max(colours, key=lambda c: abs(float(np.mean(c)) - grey))]
    kept = far or near
    return kept[int(rng.integers(len(kept)))]


def banner(picture: Pixels, texts: Sequence[str], font: Font, rng: Generator) -> Pixels:
    """Lines on a strip of one colour, at the top or at the bottom."""
    height, width = picture.shape[:2]
    inks = [sized(text, font, (width - 30, height // 4), rng) for text in texts]
    deep = sum(len(ink) + 16 for ink in inks) + 8
    paper = _PAPERS[int(rng.integers(len(_PAPERS)))]
    top = 0 if rng.random() < 0.5 else max(0, height - deep)
    laid = picture.copy()
    laid[top : top + deep] = paper
    return _stacked(
        laid, inks, top + 12, contrasting(paper, _INKS, rng), centred=rng.random() < 0.5
    )


def free(picture: Pixels, texts: Sequence[str], font: Font, rng: Generator) -> Pixels:
    """Lines anywhere, with an outline."""
    height, width = picture.shape[:2]
    for n, text in enumerate(texts):
        ink = sized(text, font, (width - 40, height // 5), rng)
        left = int(rng.integers(8, max(9, width - ink.shape[1] - 8)))
        top = int((n + rng.uniform(0.1, 0.6)) * (height - ink.shape[0]) / len(texts))
        picture = _outlined(picture, ink, (left, top), rng)
    return picture


def tilted(picture: Pixels, texts: Sequence[str], font: Font, rng: Generator) -> Pixels:
    """Lines that climb or fall by up to 15 degrees."""
    height, width = picture.shape[:2]
    for n, text in enumerate(texts):
        ink = _turned(sized(text, font, (int(width * 0.8), height // 5), rng), rng.uniform(-15, 15))
        left = int(rng.integers(0, max(1, width - ink.shape[1])))
        top = int((n + 0.2) * max(0, height - ink.shape[0]) / len(texts))
        picture = _outlined(picture, ink, (left, top), rng)
    return picture


def badge(picture: Pixels, texts: Sequence[str], font: Font, rng: Generator) -> Pixels:
    """Each line in a round-cornered patch of its own."""
    height, width = picture.shape[:2]
    for n, text in enumerate(texts):
        ink = sized(text, font, (int(width * 0.7), height // 6), rng)
        paper = _PAPERS[int(rng.integers(len(_PAPERS)))]
        left = int(rng.integers(14, max(15, width - ink.shape[1] - 14)))
        top = int((n + rng.uniform(0.15, 0.7)) * (height - ink.shape[0] - 28) / len(texts)) + 14
        around = (left - 14, top - 14), (left + ink.shape[1] + 14, top + ink.shape[0] + 14)
        picture = picture.copy()
        cv2.rectangle(picture, *around, paper, -1)
        picture = painted(picture, ink, (left, top), contrasting(paper, _INKS, rng))
    return picture


def broken(picture: Pixels, texts: Sequence[str], font: Font, rng: Generator) -> Pixels:
    """Lines broken in two, large, on a darkened ground."""
    height, width = picture.shape[:2]
    halves = [half for text in texts for half in _halves(text)]
    inks = [sized(half, font, (width - 40, height // 7), rng) for half in halves]
    dark = (picture * 0.45).astype(np.uint8)
    return _stacked(dark, inks, int(height * 0.15), (255, 255, 255), centred=True)


def translucent(picture: Pixels, texts: Sequence[str], font: Font, rng: Generator) -> Pixels:
    """Lines through which the picture shines, on a patch of paper through which it shines too."""
    height, width = picture.shape[:2]
    for n, text in enumerate(texts):
        ink = sized(text, font, (width - 60, height // 6), rng)
        left = int(rng.integers(10, max(11, width - ink.shape[1] - 10)))
        top = int((n + 0.3) * (height - ink.shape[0] - 20) / len(texts))
        patch = np.full((ink.shape[0] + 20, ink.shape[1] + 20), 255, np.uint8)
        picture = painted(picture, patch, (left - 10, top - 10), (245, 245, 245), 0.6)
        picture = painted(picture, ink, (left, top), (40, 20, 20), 0.8)
    return picture


def _stacked(
    picture: Pixels, inks: Sequence[Letters], top: int, colour: Colour, centred: bool
) -> Pixels:
    for ink in inks:
        left = (picture.shape[1] - ink.shape[1]) // 2 if centred else 15
        picture = painted(picture, ink, (left, top), colour)
        top += len(ink) + 16
    return picture


def _outlined(picture: Pixels, ink: Letters, at: tuple[int, int], rng: Generator) -> Pixels:
    under = picture[at[1] : at[1] + ink.shape[0], at[0] : at[0] + ink.shape[1]]
    colour = contrasting(under, _INKS, rng)
    edge: Colour = (0, 0, 0) if np.mean(colour) > 127 else (255, 255, 255)
    wide = cv2.dilate(
        cv2.copyMakeBorder(ink, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=0), np.ones((5, 5))
    )
    picture = painted(picture, np.asarray(wide, np.uint8), (at[0] - 3, at[1] - 3), edge)
    return painted(picture, ink, at, colour)


def _turned(ink: Letters, degrees: float) -> Letters:
    height, width = ink.shape
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1), np.float64)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (int(width * cosine + height * sine), int(width * sine + height * cosine))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(ink, matrix, size), np.uint8)


def _halves(text: str) -> tuple[str, ...]:
    """A line broken near its middle: between words, or between ideographs; no code is broken."""
    if " " in text:
        words = text.split(" ")
        middle = (len(words) + 1) // 2
        return " ".join(words[:middle]), " ".join(words[middle:])
    places = [at for at in range(2, len(text) - 1) if text[at - 1 : at + 1].isalpha()]
    places = [at for at in places if not (text[at - 1].isascii() or text[at].isascii())]
    if not places:
        return (text,)
    at = min(places, key=lambda place: abs(place - len(text) / 2))
    return text[:at], text[at:]


def spaced(text: str, _: Generator) -> str:
    """A gap between all characters of Chinese, wider gaps between words of the rest."""
    return "  ".join(text.split(" ")) if text.isascii() else " ".join(text)


def dotted(text: str, rng: Generator) -> str:
    """A sign between two characters."""
    if text.isascii() or len(text) < 3:
        return text
    at = int(rng.integers(1, len(text) - 1))
    return text[:at] + str(rng.choice(["·", "*", "-"])) + text[at:]


def traditional(text: str, _: Generator) -> str:
    """Traditional characters; capitals of Latin."""
    from opencc import OpenCC

    converted: str = OpenCC("s2t").convert(text)
    return (
        converted.upper() if text.isascii() and "@" not in text and "." not in text else converted
    )


def plain(text: str, _: Generator) -> str:
    """Nothing is hidden."""
    return text


LAYOUTS: dict[str, dict[str, Layout]] = {
    "tuned": {"banner": banner, "free": free},
    "held_out": {"tilted": tilted, "badge": badge, "broken": broken, "translucent": translucent},
}
HIDINGS: dict[str, dict[str, Hiding]] = {
    "tuned": {"none": plain, "spaced": spaced},
    "held_out": {"none": plain, "dotted": dotted, "traditional": traditional},
}
