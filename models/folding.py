"""One character at a time: width, case, accents, lookalikes, traditional forms, signs."""

import unicodedata
from functools import cache

from configs.characters import load_characters

_IDEOGRAPHS = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000))
_ACCENTS = range(0x300, 0x370)
# Letters and marks drawn as nothing: Hangul fillers, grapheme joiner, Khmer inherent vowels.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_BLANKS = frozenset("\u2800\t\x0b\x0c")
_NEGATIVE_LETTERS = (0x1F150, 0x1F170, 0x1F1E6)  # white on black circles, squares; flag letters
_NEGATIVE_DIGITS = (0x2776, 0x2780, 0x278A)  # ❶ ➀ ➊: one to ten


class Folding(dict[str, str]):
    """Character -> its folded form, "" where it is dropped; filled as characters are met.

    Folding what is folded changes nothing.
    """

    def __init__(self) -> None:
        tables = load_characters()
        self._lookalikes = tables.lookalikes()
        self._signs = tables.symbols | _enclosed()
        self._simplified = _simplified()
        super().__init__()

    def __missing__(self, character: str) -> str:
        folded = self._once(character)
        while (again := "".join(map(self._once, folded))) != folded:
            folded = again
        self[character] = folded
        return folded

    def _once(self, character: str) -> str:
        sign = self._signs.get(character)
        if sign is not None:
            return sign
        wide = unicodedata.normalize("NFKC", character).casefold()
        bare = "".join(c for c in unicodedata.normalize("NFD", wide) if ord(c) not in _ACCENTS)
        return "".join(map(self._kept, unicodedata.normalize("NFC", bare)))

    def _kept(self, character: str) -> str:
        if character in _INVISIBLE:
            return ""
        if character in _BLANKS:
            return " "
        if character in ("\n", "\r", "\u2028", "\u2029"):
            return "\n"
        character = self._lookalikes.get(character, character)
        character = self._simplified.get(character, character)
        return _by_category(character)


def _by_category(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cf", "Cc", "Me") or _is_variation_selector(character):
        return ""
    # An emoji stands where a writer wants a gap: it separates, like a space.
    return " " if category in ("So", "Sk", "Zs", "Zl", "Zp") else character


def _is_variation_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _enclosed() -> dict[str, str]:
    """Enclosed letters and digits that NFKC leaves as they are."""
    letters = {chr(first + i): chr(ord("a") + i) for first in _NEGATIVE_LETTERS for i in range(26)}
    digits = {chr(first + i): str(i + 1) for first in _NEGATIVE_DIGITS for i in range(10)}
    return letters | digits | {"\u24ff": "0", "\U0001f10c": "0"}


def _simplified() -> dict[str, str]:
    """Traditional -> simplified, character by character, as OpenCC's t2s has it."""
    from opencc import OpenCC

    every = "\n".join(chr(point) for block in _IDEOGRAPHS for point in block)
    pairs = zip(every.split("\n"), OpenCC("t2s").convert(every).split("\n"), strict=True)
    return {old: new for old, new in pairs if old != new and len(new) == 1}


@cache
def folding() -> Folding:
    """The one table, built on first use."""
    return Folding()
