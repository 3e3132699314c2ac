"""Content of a caption and a picture with words on it, for what joins their scores.

Collected posts are drawn on product pictures (``training.datasets.picture_claims``) and read again
by the OCR that serves; captions are posts likewise. What either breaks, the whole breaks; where one
of both is not known, the whole is not.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from embeddings.ocr import as_text, has_text, read
from models.arrays import Mask, Pixels, Rows, Vectors
from training.datasets.picture_claims import (
    ComposedPicture,
    Language,
    Part,
    composed,
    lettered_picture,
)

LANGUAGES: tuple[Language, ...] = ("zh", "en")
_LINE = {"zh": 16, "en": 32}  # characters
_LINES = 3
_POSTS = 0.6  # of the pictures; the others carry claims and offers, which abuse nobody
_CAPTIONED = 0.7  # of the contents; modality dropout: the others are a picture alone


@dataclass(frozen=True)
class Posts:
    """Texts with targets [N, K] of 1, 0 and NaN where unknown."""

    texts: tuple[str, ...]
    targets: Vectors

    def of(self, language: Language) -> Rows:
        """[n] rows that are short enough to stand on a picture."""
        fits = [_language(text) == language and _fits(text, language) for text in self.texts]
        return np.flatnonzero(fits)


@dataclass(frozen=True)
class ReadPictures:
    """N pictures as OCR reads them, "" where it reads nothing, with targets [N, K]."""

    texts: tuple[str, ...]
    targets: Vectors


@dataclass(frozen=True)
class Contents:
    """N contents: rows of captions, -1 for none; rows of pictures; targets [N, K]."""

    captions: Rows
    pictures: Rows
    targets: Vectors


def read_pictures(
    posts: Posts, grounds: Sequence[Pixels], part: Part, count: int, seed: int
) -> ReadPictures:
    """Draw and read `count` pictures, both languages by turns; half of the posts are violations.

    Args:
        posts: the first target says what is a violation.
        grounds: benign pictures.
        part: of fonts, layouts, ways of hiding and wordings.
        count: of pictures. seed: of the draws.
    """
    rows = {language: posts.of(language) for language in LANGUAGES}
    texts: list[str] = []
    targets = np.zeros((count, posts.targets.shape[1]), np.float32)
    for n in range(count):
        rng, language = np.random.default_rng((seed, n)), LANGUAGES[n % 2]
        if rng.random() < _POSTS:
            row = drawn_evenly(rows[language], posts.targets[:, 0], rng)
            picture = _with_post(posts.texts[row], targets[n], grounds, (language, part), rng)
            targets[n] = posts.targets[row]
        else:
            picture = composed(grounds, language, part, rng.random() < 0.5, rng)
        texts.append(as_text(read(picture.pixels)) if has_text(picture.pixels) else "")
        print(f"read {n + 1} of {count} pictures", file=sys.stderr, flush=True)
    return ReadPictures(tuple(texts), targets)


def contents(posts: Posts, pictures: ReadPictures, count: int, seed: int) -> Contents:
    """Put captions and pictures together; about half of the captions are violations."""
    rng = np.random.default_rng(seed)
    shown = np.flatnonzero([bool(text) for text in pictures.texts])
    every = np.flatnonzero(~np.isnan(posts.targets[:, 0]))
    captions = np.array([drawn_evenly(every, posts.targets[:, 0], rng) for _ in range(count)])
    captions[rng.random(count) >= _CAPTIONED] = -1
    chosen = rng.choice(shown, count)
    captioned = np.where((captions >= 0)[:, None], posts.targets[captions], 0)
    return Contents(captions, chosen, both(captioned, pictures.targets[chosen]))


def both(one: Vectors, other: Vectors) -> Vectors:
    """[N, K] what two parts break together: NaN where either is not known."""
    return np.maximum(one, other)


def drawn_evenly(rows: Rows, violations: Vectors, rng: Generator) -> int:
    """One of some rows, as often a violation as not."""
    of_kind: Mask = violations[rows] == (rng.random() < 0.5)
    return int(rng.choice(rows[of_kind]))


def lines_of(text: str, language: Language) -> list[str]:
    """A short text as lines that a picture can carry: between words, or ideographs."""
    if language == "zh":
        dense = "".join(text.split())
        return [dense[at : at + _LINE["zh"]] for at in range(0, len(dense), _LINE["zh"])]
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= _LINE["en"]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _with_post(
    text: str,
    targets: Vectors,
    grounds: Sequence[Pixels],
    of: tuple[Language, Part],
    rng: Generator,
) -> ComposedPicture:
    lines = lines_of(text, of[0])
    return lettered_picture(grounds, lines, "harassment" if targets[0] else None, of, rng)


def _language(text: str) -> Language:
    return "en" if text.isascii() else "zh"


def _fits(text: str, language: Language) -> bool:
    written = lines_of(text, language)
    shown = all(any(letter.isalnum() for letter in line) for line in written)
    return shown and 0 < len(written) <= _LINES and max(map(len, written)) <= _LINE[language]
