"""Many terms at once, in every channel of a text: Aho-Corasick (CACM 18(6), 1975)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import ahocorasick_rs

from models.canonical import Channels, MappedText, canonical_text, is_pinyin, read

_LONGEST_RUN = 60  # letters beside a hit that are read as syllables
SHORTEST_BY_SOUND = 3  # ideographs; two syllables are shared by too many words


@dataclass(frozen=True)
class Term:
    """A literal term of one owner.

    Attributes:
        text: as written in the pack.
        owner: what a hit belongs to; the matcher hands it back.
        channels: where it is looked for.
    """

    text: str
    owner: int
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """A place in one channel: characters [start, end) of that channel."""

    owner: int
    channel: str
    start: int
    end: int


class Matcher:
    """One automaton a channel over the terms of all owners."""

    def __init__(self, terms: Iterable[Term]) -> None:
        """Raises ValueError where a term says nothing in canonical text."""
        owners: dict[str, dict[str, list[int]]] = {}
        for term in terms:
            for channel, text in _needles(term):
                owners.setdefault(channel, {}).setdefault(text, []).append(term.owner)
        self._owners: Mapping[str, Sequence[list[int]]] = {
            channel: list(needles.values()) for channel, needles in owners.items()
        }
        self._automata = {
            channel: ahocorasick_rs.AhoCorasick(list(needles))
            for channel, needles in owners.items()
        }

    def find(self, reading: Channels) -> Iterator[Hit]:
        """Every hit, channel by channel; of ASCII words only whole ones."""
        for name, channel in reading.named():
            automaton = self._automata.get(name)
            if automaton is None:
                continue
            fits = _whole_syllables if name == "pinyin" else _whole_words
            for index, start, end in automaton.find_matches_as_indexes(
                channel.text, overlapping=True
            ):
                if fits(channel, start, end):
                    for owner in self._owners[name][index]:
                        yield Hit(owner, name, start, end)


def _needles(term: Term) -> Iterator[tuple[str, str]]:
    text = canonical_text(term.text)
    if not text.strip():
        raise ValueError(f"term {term.text!r} is empty in canonical text; take it out of the pack")
    for channel in term.channels:
        if channel != "pinyin":
            yield channel, text
        elif sum("\u3400" <= c <= "\u9fff" for c in text) >= SHORTEST_BY_SOUND:
            yield channel, read(text).pinyin.text


def _whole_words(channel: MappedText, start: int, end: int) -> bool:
    text = channel.text
    before = start > 0 and _is_word(text[start - 1]) and _is_word(text[start])
    after = end < len(text) and _is_word(text[end]) and _is_word(text[end - 1])
    return not before and not after


def _whole_syllables(channel: MappedText, start: int, end: int) -> bool:
    """No hit begins or ends inside a syllable, nor inside a word that is not pinyin."""
    starts, ends = channel.starts, channel.ends
    split = (start > 0 and starts[start - 1] == starts[start]) or (
        end < len(ends) and ends[end] == ends[end - 1]
    )
    if split:
        return False
    written, first, last = channel.original, starts[start], ends[end - 1]
    before = _letters_before(written, first) if _is_word(written[first]) else ""
    after = _letters_after(written, last) if _is_word(written[last - 1]) else ""
    return all(not run or is_pinyin(run) for run in (before, after))


def _letters_before(text: str, end: int) -> str:
    start = end
    while start > max(0, end - _LONGEST_RUN) and _is_word(text[start - 1]):
        start -= 1
    return text[start:end].lower()


def _letters_after(text: str, start: int) -> str:
    end = start
    while end < min(len(text), start + _LONGEST_RUN) and _is_word(text[end]):
        end += 1
    return text[start:end].lower()


def _is_word(character: str) -> bool:
    return character.isascii() and character.isalnum()
