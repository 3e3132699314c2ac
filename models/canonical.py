"""Canonical text with a map back to the original, so that evidence points at what was written.

A text is read in several channels. Each is a `MappedText`: characters, and for each the part of
the original that it stands for. ``folded`` undoes what Unicode offers (width, case, accents,
lookalikes, traditional forms, invisible characters); ``canonical`` also what writers do (gaps
between characters, repeats, characters in halves); ``leet``, ``digits`` and ``pinyin`` are read
beside it, because each of them also destroys meaning.
"""

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from configs.characters import load_characters
from models.folding import folding

CJK = "\u3400-\u4dbf\u4e00-\u9fff"
_NOISE = r"[ *.\-_|~·•/\\^`'\"=+<>﹏—…]"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Bounded repetition only: each pattern reads a text in linear time.
_GAPS = re.compile(
    rf"(?<=[{CJK}]){_NOISE}{{1,4}}(?=[{CJK}a-z0-9])|(?<=[a-z0-9]){_NOISE}{{1,4}}(?=[{CJK}])"
)
_SINGLES = re.compile(rf"(?<![a-z0-9])[a-z0-9@$!](?:{_NOISE}{{1,3}}[a-z0-9@$!%]){{2,}}(?![a-z0-9])")
_INNER = re.compile(r"(?<=[a-z])[_|~·•^]{1,3}(?=[a-z])")
_REPEATS = re.compile(r"([^\W\d]|[!?。,~])\1{2,}")
_LEET_WORD = re.compile(r"[a-z0-9@$!|+]{3,40}")
_LEET = str.maketrans(
    {
        "0": "o",
        "1": "i",
        "3": "e",
        "4": "a",
        "5": "s",
        "7": "t",
        "@": "a",
        "$": "s",
        "!": "i",
        "|": "l",
        "+": "t",
    }
)
_NUMERALS = str.maketrans(
    dict(
        zip(
            "零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖两oloi",
            "00123456789112345678920101",
            strict=False,
        )
    )
)


# Longer finals first, so that a run is read as few syllables.
_SYLLABLE = re.compile(
    "(?:[zcs]h|[bpmfdtnlgkhjqxzcsryw])?"
    "(?:iang|iong|uang|ang|eng|ing|ong|iao|ian|uai|uan|van|ai|ei|ao|ou|an|en|er|in|un|vn|ia|ie"
    "|iu|ua|ue|ui|uo|ve|a|e|i|o|u|v)"
)
_SYLLABLES = re.compile(f"(?:{_SYLLABLE.pattern})+")


class TextError(ValueError):
    """A text that cannot be read; the message names the place and the way out."""


@dataclass(frozen=True)
class MappedText:
    """Characters and where they come from.

    Attributes:
        original: what was written.
        text: L characters of this channel.
        starts: L offsets into `original`; `ends` likewise, exclusive. Both never decrease.
    """

    original: str
    text: str
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Part of the original that characters [start, end) of this channel stand for."""
        if not 0 <= start < end <= len(self.text):
            raise IndexError(f"[{start}, {end}) is not inside the channel's {len(self.text)}")
        return self.starts[start], self.ends[end - 1]


@dataclass(frozen=True)
class Channels:
    """All readings of one text; `leet` is None where nothing in it reads as leet."""

    original: str
    folded: MappedText
    canonical: MappedText
    leet: MappedText | None
    digits: MappedText
    pinyin: MappedText

    def named(self) -> Iterable[tuple[str, MappedText]]:
        """Name and text of each channel that exists."""
        for name in ("folded", "canonical", "leet", "digits", "pinyin"):
            channel: MappedText | None = getattr(self, name)
            if channel is not None:
                yield name, channel


def read(text: str) -> Channels:
    """Read a text in all channels, in time linear in its length.

    Raises:
        TextError: it holds a lone surrogate, which no well-formed Unicode has.
    """
    folded = fold(text)
    canonical = canonicalise(folded)
    digits = MappedText(text, canonical.text.translate(_NUMERALS), canonical.starts, canonical.ends)
    return Channels(text, folded, canonical, leet(canonical), digits, pinyin(canonical))


def canonical_text(text: str) -> str:
    """The canonical channel alone, as terms are stored."""
    return canonicalise(fold(text)).text


def fold(text: str) -> MappedText:
    """Fold each character by itself.

    Raises:
        TextError: as `read`.
    """
    lone = _LONE_SURROGATE.search(text)
    if lone:
        raise TextError(
            f"text: lone surrogate U+{ord(lone[0]):04X} at character {lone.start()}; "
            "send well-formed Unicode"
        )
    table = folding()
    pieces = [table[character] for character in text]
    places = [i for i, piece in enumerate(pieces) for _ in piece]
    return MappedText(text, "".join(pieces), places, [place + 1 for place in places])


def canonicalise(folded: MappedText) -> MappedText:
    """Take out gaps, repeats and split characters until nothing changes.

    Each round removes characters and each removal needs three times its length of text written
    for it, so rounds grow with the logarithm of the length at most.
    """
    current = folded
    while True:
        before = len(current.text)
        current = rewrite(current, _REPEATS, lambda match: match[1])
        current = rewrite(current, _SINGLES, _without_noise)
        current = rewrite(current, _INNER, lambda _: "")
        current = rewrite(current, _GAPS, lambda _: "")
        current = join_halves(current)
        if len(current.text) == before:
            return current


def rewrite(
    source: MappedText, pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str]
) -> MappedText:
    """Replace every match; each new character stands for all of the match."""
    text, starts, ends = [], [], []
    done = 0
    for match in pattern.finditer(source.text):
        begin, end = match.span()
        new = replacement(match)
        text += [source.text[done:begin], new]
        starts += source.starts[done:begin] + [source.starts[begin]] * len(new)
        ends += source.ends[done:begin] + [source.ends[end - 1]] * len(new)
        done = end
    if done == 0:
        return source
    text.append(source.text[done:])
    starts += source.starts[done:]
    ends += source.ends[done:]
    return MappedText(source.original, "".join(text), starts, ends)


def join_halves(source: MappedText) -> MappedText:
    """Write two halves of a character as the character: 弓虽 becomes 强."""
    joined = _joined()
    text = source.text
    if not any(pair in joined for pair in map("".join, itertools.pairwise(text))):
        return source
    kept: list[tuple[str, int, int]] = []
    i = 0
    while i < len(text):
        whole = joined.get(text[i : i + 2])
        width = 2 if whole else 1
        kept.append((whole or text[i], source.starts[i], source.ends[i + width - 1]))
        i += width
    return MappedText(
        source.original,
        "".join(c for c, _, _ in kept),
        [start for _, start, _ in kept],
        [end for _, _, end in kept],
    )


def leet(source: MappedText) -> MappedText | None:
    """Digits and signs among letters as the letters they look like; None where there are none."""
    decoded = rewrite(source, _LEET_WORD, _letters)
    if decoded.text == source.text:
        return None
    return MappedText(source.original, decoded.text, source.starts, source.ends)


def pinyin(source: MappedText) -> MappedText:
    """Ideographs as toneless syllables, letters as they are, gaps taken out.

    All letters of a syllable stand for the one character that they came from.
    """
    pieces = [_syllables()[character] for character in source.text]
    return MappedText(
        source.original,
        "".join(pieces),
        [s for piece, s in zip(pieces, source.starts, strict=True) for _ in piece],
        [e for piece, e in zip(pieces, source.ends, strict=True) for _ in piece],
    )


def is_pinyin(letters: str) -> bool:
    """Whether letters can be read as toneless pinyin from end to end."""
    return _SYLLABLES.fullmatch(letters) is not None


def spoken(text: str) -> list[str]:
    """Syllables of canonical text in order; what is neither ideograph nor pinyin stays a word."""
    return [
        syllable
        for word in re.findall(rf"[a-z0-9']+|[{CJK}]", text)
        for syllable in _spoken_word(word)
    ]


def _spoken_word(word: str) -> list[str]:
    if not word.isascii():
        return [_syllables()[word]]
    return _SYLLABLE.findall(word) if is_pinyin(word) else [word]


class Syllables(dict[str, str]):
    """Character -> its most frequent syllable without tone; gaps -> "" ; others unchanged."""

    def __missing__(self, character: str) -> str:
        from pypinyin import lazy_pinyin

        if "\u3400" <= character <= "\u9fff":
            piece = str(lazy_pinyin(character)[0])
        else:
            piece = "" if character in " *.-_|~·•/'" else character
        self[character] = piece
        return piece


@cache
def _syllables() -> Syllables:
    return Syllables()


@cache
def _joined() -> dict[str, str]:
    return load_characters().joined()


def _without_noise(match: re.Match[str]) -> str:
    return re.sub(_NOISE, "", match[0])


def _letters(match: re.Match[str]) -> str:
    word = match[0]
    letters = sum(map(str.isalpha, word))
    body = word.rstrip("!|+")
    if letters < 1 or letters == len(word) or not 2 * letters >= len(body) - 1:
        return word
    return body.translate(_LEET) + word[len(body) :]
