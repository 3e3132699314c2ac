"""Text as hashed features: one implementation for training and for serving. NumPy only.

Character n-grams of the canonical text carry most; the pinyin channel sees what is written by
sound; words after a negation or inside quotation marks are also counted as such, so that "not
stupid" and a quoted insult differ from the insult (Das and Chen, 2001, on negation tagging).
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

from models.arrays import Rows
from models.canonical import Channels, read

BUCKETS = 1 << 17
MOST_TOKENS = 1536
_READ_CHARACTERS = 600  # of one text; longer ones are scored in windows
_WORD = re.compile(r"[a-z0-9']+|[\u3400-\u9fff]|[^\s\w]")
_CLAUSE = re.compile(r"[,;.!?。:\n]")
_NEGATION = re.compile(
    r"\b(?:not|no|never|nobody|none|nothing|without|cannot|\w+n'?t|wrong|stop|false|unacceptable)\b"
    r"|不|没|無|无|别|莫|勿|反对|拒绝|错误|谣言|偏见|停止|禁止"
)
_QUOTED = re.compile('["“”「『《][^"“”「」『』》]{1,120}["“”」』》]')


def text_tokens(text: str) -> list[int]:
    """Buckets in [1, BUCKETS) of one text's features, at most `MOST_TOKENS`.

    Raises:
        TextError: as `models.canonical.read`.
    """
    features = dict.fromkeys(_features(read(text[:_READ_CHARACTERS])))
    return [_bucket(feature) for feature in features][:MOST_TOKENS]


def token_batch(rows: Sequence[Sequence[int]]) -> Rows:
    """[B, T] buckets, padded with 0 to the longest row."""
    batch = np.zeros((len(rows), max(map(len, rows), default=1) or 1), np.int64)
    for b, row in enumerate(rows):
        batch[b, : len(row)] = row
    return batch


def _bucket(feature: str) -> int:
    return 1 + crc32(feature.encode("utf-8", "surrogatepass")) % (BUCKETS - 1)


def _features(reading: Channels) -> Iterator[str]:
    plain = (reading.leet or reading.canonical).text
    words = _WORD.findall(plain)
    yield from (f"w {word}" for word in words)
    yield from (f"b {a} {b}" for a, b in itertools.pairwise(words))
    yield from (f"s {a} {c}" for a, c in zip(words, words[2:], strict=False))
    yield from (f"n {word}" for word in _negated(plain))
    for quoted in _QUOTED.findall(plain):
        yield from ("q", *(f"q {word}" for word in _WORD.findall(quoted)))
    padded = f" {' '.join(plain.split())} "
    for n in (2, 3, 4):
        yield from (padded[i : i + n] for i in range(len(padded) - n + 1))
    yield from _sounds(reading)


def _negated(text: str) -> Iterator[str]:
    for clause in _CLAUSE.split(text):
        negation = _NEGATION.search(clause)
        if negation:
            yield from _WORD.findall(clause[negation.end() :])


def _sounds(reading: Channels) -> Iterator[str]:
    """Pairs and triples of syllables, wherever an ideograph or letters wrote them."""
    dense = reading.pinyin
    syllables: list[str] = []
    previous = -1
    for character, start in zip(dense.text, dense.starts, strict=True):
        if start == previous:
            syllables[-1] += character
        else:
            syllables.append(character)
        previous = start
    joined = ["".join(syllables[i : i + 2]) for i in range(len(syllables) - 1)]
    yield from (f"p {pair}" for pair in joined if len(pair) > 2)
