"""Banks of known content: pictures by their fingerprint, texts by MinHash (Broder, 1997)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from configs.labels import Action
from embeddings.bank import PictureBank
from embeddings.fingerprint import Fingerprint
from models.canonical import Channels, read
from serving.moderation.findings import Duplicate

SHINGLE = 5  # characters of canonical text
LEAST_SHINGLES = 8  # shorter texts are alike by chance
LEAST_SAME = 0.8  # share of shingles (Jaccard) from which a text is a copy
_PERMUTATIONS = 128
_RNG = np.random.default_rng(0)  # the same permutations everywhere
_FACTORS = _RNG.integers(1, 1 << 63, _PERMUTATIONS, np.uint64) | np.uint64(1)
_TERMS = _RNG.integers(0, 1 << 63, _PERMUTATIONS, np.uint64)
_POWERS = np.uint64(0x9E3779B97F4A7C15) ** np.arange(1, SHINGLE + 1, dtype=np.uint64)

Signature = NDArray[np.uint64]  # [_PERMUTATIONS]


@dataclass(frozen=True)
class Known:
    """An entry of a bank: what a copy of it means."""

    entry_id: str
    bank: str
    kind: Literal["picture", "text"]
    label: str
    action: Action


class BankBook:
    """All banks. Used by one thread at a time."""

    def __init__(self) -> None:
        self.sequence = 0  # of the newest change that is in
        self._known: dict[str, Known] = {}
        self._pictures = PictureBank("all")
        self._signatures: dict[str, Signature] = {}
        self._stacked: NDArray[np.uint64] | None = None  # [E, _PERMUTATIONS]; None when stale

    def add_picture(self, known: Known, fingerprint: Fingerprint) -> None:
        """Add an entry, or replace the one of this id."""
        self._known[known.entry_id] = known
        self._pictures.add(known.entry_id, fingerprint)

    def add_text(self, known: Known, text: str) -> None:
        """Add an entry, or replace the one of this id.

        Raises:
            ValueError: the text is too short to be known again.
        """
        found = signature(read(text).canonical.text)
        if found is None:
            raise ValueError(f"has fewer than {LEAST_SHINGLES + SHINGLE - 1} characters that count")
        self._known[known.entry_id] = known
        self._signatures[known.entry_id] = found
        self._stacked = None

    def remove(self, entry_id: str) -> None:
        """Take an entry out, if it is in."""
        if self._known.pop(entry_id, None) is not None:
            self._pictures.remove(entry_id)
            self._signatures.pop(entry_id, None)
            self._stacked = None

    def labels(self) -> frozenset[str]:
        """Labels of all entries."""
        return frozenset(known.label for known in tuple(self._known.values()))

    def texts(self, source: str, reading: Channels) -> Sequence[Duplicate]:
        """Entries that a text is a copy of, the surest first."""
        if not self._signatures:
            return []
        asked = signature(reading.canonical.text)
        if asked is None:
            return []
        if self._stacked is None:
            self._stacked = np.stack(list(self._signatures.values()))
        same = (self._stacked == asked).mean(1)
        names = list(self._signatures)
        near = [int(row) for row in np.argsort(-same) if same[row] >= LEAST_SAME]
        return [
            self._copy(source, names[row], "minhash", round(1 - float(same[row]), 4), None)
            for row in near
        ]

    def pictures(self, source: str, known: Callable[[], Fingerprint]) -> Sequence[Duplicate]:
        """Entries that a picture is a copy of; it is fingerprinted only where there are any."""
        if not self._pictures.entries():
            return []
        return [
            self._copy(source, match.entry, match.way, match.distance, match.inliers)
            for match in self._pictures.match(known())
        ]

    def _copy(
        self, source: str, entry: str, way: str, distance: float | None, inliers: int | None
    ) -> Duplicate:
        known = self._known[entry]
        return Duplicate(
            source, known.bank, entry, known.label, known.action, way, distance, inliers
        )


def signature(text: str) -> Signature | None:
    """MinHash of a canonical text, spaces and marks left out; None where it is too short."""
    letters = "".join(character for character in text if character.isalnum())
    codes = np.frombuffer(letters.encode("utf-32-le"), np.uint32).astype(np.uint64)
    if len(codes) < SHINGLE + LEAST_SHINGLES - 1:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(codes, SHINGLE)
    shingles = np.unique((windows * _POWERS).sum(1, dtype=np.uint64))
    mixed = (shingles[:, None] ^ (shingles[:, None] >> np.uint64(29))) * _FACTORS + _TERMS
    smallest: Signature = (mixed >> np.uint64(16)).min(0)
    return smallest
