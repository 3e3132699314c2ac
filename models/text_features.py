"""Text as integer arrays: one implementation for training and for serving. NumPy only.

A bag of hashed features: characters and words of the canonical text, their pairs, letter triples
(for words that are masked or misspelt), pairs of syllables, which see what is written by sound, and
runs of characters before gaps and repeats are taken out. And the canonical text itself, which a
sentence encoder reads.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.arrays import Rows, Vectors
from models.canonical import read, spoken

FEATURE_BUCKETS = 1 << 20
WINDOW_CHARACTERS = 600  # of one text; longer ones are scored in windows
Kind = TypeVar("Kind", np.int64, np.float32)
_WORD = re.compile(r"[a-z0-9*']+|[\u3400-\u4dbf\u4e00-\u9fff]|[^\s\w]")
_QUOTED = re.compile('["“”「『《][^"“”「」『』》]{1,120}["“”」』》]')


@dataclass(frozen=True)
class TextArrays:
    """B texts; 0 is padding.

    Attributes:
        features: [B, F] in [0, FEATURE_BUCKETS), each bucket at most once a row.
        frequencies: [B, F] 1 + ln(how often the text has the feature); 0 is padding.
        plain: B canonical texts, cut like what the features were taken from.
    """

    features: Rows
    frequencies: Vectors
    plain: tuple[str, ...]


def text_arrays(texts: Sequence[str]) -> TextArrays:
    """Arrays of texts.

    Raises:
        TextError: as `models.canonical.read`.
    """
    tokens = [text_tokens(text) for text in texts]
    return TextArrays(
        padded([features for features, _, _ in tokens], np.int64),
        padded([frequencies for _, frequencies, _ in tokens], np.float32),
        tuple(plain for _, _, plain in tokens),
    )


def text_tokens(text: str) -> tuple[list[int], list[float], str]:
    """Feature buckets in order, their frequencies, and the canonical text of one text.

    Raises:
        TextError: as `models.canonical.read`.
    """
    reading = read(text[:WINDOW_CHARACTERS])
    plain = (reading.leet or reading.canonical).text
    words = _WORD.findall(plain)
    names = itertools.chain(_features(plain, words), _characters(reading.folded.text))
    counts = sorted(Counter(map(_bucket, names)).items())
    return (
        [bucket for bucket, _ in counts],
        [1 + math.log(count) for _, count in counts],
        plain,
    )


def padded(rows: Sequence[Sequence[float] | NDArray[Any]], kind: type[Kind]) -> NDArray[Kind]:
    """[B, longest row, at least 1] with 0 behind each row."""
    batch = np.zeros((len(rows), max([1, *map(len, rows)])), kind)
    for b, row in enumerate(rows):
        batch[b, : len(row)] = row
    return batch


def _bucket(name: str) -> int:
    return 1 + crc32(name.encode("utf-8", "surrogatepass")) % (FEATURE_BUCKETS - 1)


def _characters(folded: str) -> Iterator[str]:
    """Runs of one to three characters as they were written, gaps and repeats among them."""
    for length in range(1, 4):
        for i in range(len(folded) - length + 1):
            yield f"c {folded[i : i + length]}"


def _features(plain: str, words: list[str]) -> Iterator[str]:
    yield from (f"w {word}" for word in words)
    yield from (f"b {first} {second}" for first, second in itertools.pairwise(words))
    for quoted in _QUOTED.findall(plain):
        yield from ("q", *(f"q {word}" for word in _WORD.findall(quoted)))
    for word in words:
        if len(word) > 2:
            edged = f"<{word}>"
            yield from (edged[i : i + 3] for i in range(len(edged) - 2))
    syllables = spoken(plain)
    yield from (f"p {first} {second}" for first, second in itertools.pairwise(syllables))
