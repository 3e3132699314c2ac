"""Evasion operators that augment training text: how people rewrite a word to slip past a filter.

Each takes a word and a random generator and returns the word rewritten. The operators that
measure robustness stand elsewhere (``tests/benchmarks/robustness``), so that no training run can
see them.
"""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

Operator = Callable[[str, random.Random], str]

_LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7"}
_SEPARATORS = "*.-_|~·"
_COMMON_FIRST, _COMMON_LAST = 0xB0, 0xD7  # GB 2312 level 1: the 3,755 most used characters


def is_ideograph(character: str) -> bool:
    """True for a CJK ideograph of the basic block or extension A."""
    return "\u3400" <= character <= "\u9fff"


def zero_width(word: str, rng: random.Random) -> str:
    """Insert invisible characters."""
    return "".join(c + rng.choice("\u200b\u200c\u2060") for c in word[:-1]) + word[-1:]


def spacing(word: str, _: random.Random) -> str:
    """Put a space between all characters."""
    return " ".join(word)


def punctuation(word: str, rng: random.Random) -> str:
    """Put one kind of punctuation between all characters."""
    return rng.choice(_SEPARATORS).join(word)


def leet(word: str, rng: random.Random) -> str:
    """Write letters as the digits and signs they look like."""
    return "".join(rng.choice(_LEET[c]) if c in _LEET else c for c in word.lower())


def fullwidth(word: str, _: random.Random) -> str:
    """Write ASCII as its full-width forms."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)


def masking(word: str, rng: random.Random) -> str:
    """Hide one inner vowel, or else one inner character, behind an asterisk."""
    inner = range(1, len(word) - 1)
    vowels = [i for i in inner if word[i].lower() in "aeiou"] or list(inner)
    if not vowels:
        return word
    position = rng.choice(vowels)
    return word[:position] + "*" + word[position + 1 :]


def pinyin(word: str, _: random.Random) -> str:
    """Write ideographs as their toneless pinyin."""
    return "".join(_syllable(c) if is_ideograph(c) else c for c in word)


def homophone(word: str, rng: random.Random) -> str:
    """Write each ideograph as another common one of the same toneless pinyin."""
    return "".join(_sounds_like(c, rng) if is_ideograph(c) else c for c in word)


def traditional(word: str, _: random.Random) -> str:
    """Write simplified characters as traditional ones."""
    converted: str = _to_traditional().convert(word)
    return converted


CHINESE: dict[str, Operator] = {
    "pinyin": pinyin,
    "homophone": homophone,
    "zero_width": zero_width,
    "spacing": spacing,
    "punctuation": punctuation,
    "traditional": traditional,
}
ENGLISH: dict[str, Operator] = {
    "leet": leet,
    "spacing": spacing,
    "punctuation": punctuation,
    "fullwidth": fullwidth,
    "zero_width": zero_width,
    "masking": masking,
}


def _sounds_like(character: str, rng: random.Random) -> str:
    others = [c for c in _by_syllable().get(_syllable(character), "") if c != character]
    return rng.choice(others) if others else character


@cache
def _syllable(character: str) -> str:
    from pypinyin import lazy_pinyin

    syllable: str = lazy_pinyin(character)[0]
    return syllable


@cache
def _by_syllable() -> dict[str, str]:
    rows = range(_COMMON_FIRST, _COMMON_LAST + 1)
    cells = (bytes((row, cell)) for row in rows for cell in range(0xA1, 0xFF))
    groups: dict[str, str] = {}
    for character in (cell.decode("gb2312", "ignore") for cell in cells):
        if character:
            groups[_syllable(character)] = groups.get(_syllable(character), "") + character
    return groups


@cache
def _to_traditional() -> Any:
    from opencc import OpenCC

    return OpenCC("s2t")
