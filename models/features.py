"""Behaviour and items as arrays: the one implementation, for training and for serving.

NumPy only. A history is stored newest first and padded at its end, so that an event's index is
its recency rank and truncation is a slice.
"""

import hashlib
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, VectorRows, Vectors

ACTIONS = (
    "padding",
    "impression",
    "play",
    "long_view",
    "complete",
    "skip",
    "like",
    "unlike",
    "comment",
    "share",
    "follow",
    "unfollow",
    "click_product",
    "add_cart",
    "purchase",
    "refund",
    "not_interested",
    "report",
    "rating",
)
ACTION_CODES: Mapping[str, int] = {name: code for code, name in enumerate(ACTIONS)}
# Of several actions on one item the one furthest right speaks for all of them.
ACTIONS_BY_STRENGTH = (
    "padding",
    "impression",
    "skip",
    "play",
    "click_product",
    "long_view",
    "complete",
    "rating",
    "like",
    "comment",
    "share",
    "follow",
    "add_cart",
    "purchase",
    "unlike",
    "unfollow",
    "refund",
    "not_interested",
    "report",
)
STRENGTH_OF_CODE = np.array([ACTIONS_BY_STRENGTH.index(name) for name in ACTIONS])
CODE_OF_STRENGTH = np.array([ACTION_CODES[name] for name in ACTIONS_BY_STRENGTH])
UNKNOWN_WATCH_RATIO = -1.0
LONG_VIEW_MS = 18_000  # KuaiRand's definition: 18 s watched, or all of a shorter video
TOKEN_BUCKETS = 1 << 15
TOKENS_PER_ITEM = 64
NUMERIC_FEATURES = ("log_duration_s", "log_price", "has_duration", "has_price")


@dataclass(frozen=True)
class History:
    """One user's behaviour, newest first.

    Attributes:
        rows: [T] item rows of the bundle's vocabulary.
        actions: [T] codes of ``ACTIONS``.
        watch_ratio: [T] watched share of the duration; ``UNKNOWN_WATCH_RATIO`` where not known.
        age_s: [T] seconds between the event and the moment of scoring, >= 0, ascending.
    """

    rows: Rows
    actions: NDArray[np.int64]
    watch_ratio: Vectors
    age_s: Vectors

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class HistoryBatch:
    """Histories of B users padded to T events; padding has row -1 and action 0.

    Attributes:
        rows: [B, T]. actions: [B, T]. watch_ratio: [B, T]. age_s: [B, T].
    """

    rows: Rows
    actions: NDArray[np.int64]
    watch_ratio: Vectors
    age_s: Vectors

    @property
    def mask(self) -> Mask:
        """[B, T], true where an event stands."""
        return self.rows >= 0


def empty_history() -> History:
    """The history of a user who has done nothing yet."""
    return History(
        np.empty(0, np.int64),
        np.empty(0, np.int64),
        np.empty(0, np.float32),
        np.empty(0, np.float32),
    )


def distinct(history: History) -> History:
    """One event an item, where its newest stood, with its strongest action and longest watch."""
    rows, newest, owner = np.unique(history.rows, return_index=True, return_inverse=True)
    strength = np.zeros(len(rows), np.int64)
    np.maximum.at(strength, owner, STRENGTH_OF_CODE[history.actions])
    ratio = np.full(len(rows), UNKNOWN_WATCH_RATIO, np.float32)
    np.maximum.at(ratio, owner, history.watch_ratio)
    order = np.argsort(newest)
    return History(
        rows[order],
        CODE_OF_STRENGTH[strength[order]],
        ratio[order],
        history.age_s[newest[order]],
    )


def batch_histories(histories: Sequence[History], length: int) -> HistoryBatch:
    """Pad or truncate each history to its newest `length` distinct items: [B, length].

    Ages are counted from the user's newest event: how long someone was away says nothing of
    their taste.
    """
    shape = (len(histories), length)
    batch = HistoryBatch(
        np.full(shape, -1, np.int64),
        np.zeros(shape, np.int64),
        np.full(shape, UNKNOWN_WATCH_RATIO, np.float32),
        np.zeros(shape, np.float32),
    )
    for b, history in enumerate(map(distinct, histories)):
        n = min(len(history), length)
        batch.rows[b, :n] = history.rows[:n]
        batch.actions[b, :n] = history.actions[:n]
        batch.watch_ratio[b, :n] = history.watch_ratio[:n]
        batch.age_s[b, :n] = history.age_s[:n] - history.age_s[:1]
    return batch


def history_vectors(table: VectorRows, rows: Rows) -> Vectors:
    """Gather [B, T, H] history vectors from table [N, H]; padding rows (-1) become zeros."""
    gathered: Vectors = table[np.maximum(rows, 0)]
    gathered[rows < 0] = 0.0
    return gathered


def action_of(event_type: str, watch_ms: float | None, duration_ms: float | None) -> int:
    """Action code of an event; a play watched long enough counts as a long view."""
    watched_long = watch_ms is not None and watch_ms >= min(duration_ms or math.inf, LONG_VIEW_MS)
    return ACTION_CODES["long_view" if event_type == "play" and watched_long else event_type]


def actions_of(event_types: Sequence[str], watch_ms: Vectors, duration_ms: Vectors) -> Rows:
    """Action codes [T] of T events by `action_of`; NaN stands for what is not known."""
    codes = np.fromiter(map(ACTION_CODES.__getitem__, event_types), np.int64, len(event_types))
    enough_ms = np.fmin(np.where(duration_ms == 0, np.nan, duration_ms), LONG_VIEW_MS)
    watched_long = (codes == ACTION_CODES["play"]) & (watch_ms >= enough_ms)
    return np.where(watched_long, ACTION_CODES["long_view"], codes)


def watch_ratios_of(watch_ms: Vectors, duration_ms: Vectors) -> Vectors:
    """Watched shares [T] of durations, at most 5 (loops); `UNKNOWN_WATCH_RATIO` if not known."""
    known = np.isfinite(watch_ms) & (duration_ms > 0)
    ratio = np.minimum(watch_ms / np.where(known, duration_ms, 1), 5.0)
    return np.where(known, ratio, UNKNOWN_WATCH_RATIO).astype(np.float32)


@dataclass(frozen=True)
class ItemFeatures:
    """Content of N items, without their identity.

    Attributes:
        tokens: [N, TOKENS_PER_ITEM] hashed feature ids in [1, TOKEN_BUCKETS); 0 is padding.
        numeric: [N, len(NUMERIC_FEATURES)].
    """

    tokens: Rows
    numeric: Vectors

    def __len__(self) -> int:
        return len(self.tokens)


@lru_cache(1 << 16)  # items share their words
def hash_token(text: str) -> int:
    """Stable bucket of a feature in [1, TOKEN_BUCKETS), the same on every machine and run."""
    return 1 + stable_hash(text) % (TOKEN_BUCKETS - 1)


def stable_hash(text: str) -> int:
    """64-bit hash that is the same on every machine and run."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def character_ngrams(text: str, shortest: int = 2, longest: int = 4) -> list[str]:
    """Character n-grams of NFKC lower-case text, and its single ideographs."""
    clean = " ".join(unicodedata.normalize("NFKC", text).lower().split())
    ideographs = [c for c in clean if "\u3400" <= c <= "\u9fff"]
    grams = [
        clean[i : i + n] for n in range(shortest, longest + 1) for i in range(len(clean) - n + 1)
    ]
    return ideographs + grams


def item_tokens(item: Mapping[str, Any]) -> list[str]:
    """Named content features of one item record, most telling first."""
    named = [f"{key}={item[key]}" for key in ("creator_id", "kind", "language") if item.get(key)]
    path = [part for part in str(item.get("category") or "").split("/") if part]
    topics = [f"category={'/'.join(path[: i + 1])}" for i in range(len(path))]
    topics += [f"tag={tag}" for tag in item.get("tags") or ()]
    length = length_token(item.get("duration_ms"))
    crossed = [f"{length} {topic}" for topic in topics] if length else []
    grams = dict.fromkeys(character_ngrams(str(item.get("title") or "")))
    content = [*named, *topics, *([length] if length else []), *crossed]
    return content + [f"gram={gram}" for gram in grams]


def length_token(duration_ms: float | None) -> str | None:
    """Half-octave of the duration, from one second up: what is short or long in its topic."""
    if duration_ms is None:
        return None
    return f"length={int(2 * math.log2(max(duration_ms, 1000) / 1000))}"


def item_features(items: Iterable[Mapping[str, Any]]) -> ItemFeatures:
    """Arrays of item records (the Item contract; every field but the id may be absent)."""
    records = list(items)
    tokens = np.zeros((len(records), TOKENS_PER_ITEM), np.int64)
    numeric = np.zeros((len(records), len(NUMERIC_FEATURES)), np.float32)
    for n, item in enumerate(records):
        hashed = [hash_token(token) for token in item_tokens(item)[:TOKENS_PER_ITEM]]
        tokens[n, : len(hashed)] = hashed
        duration_ms, price = item.get("duration_ms"), item.get("price")
        numeric[n] = (
            math.log1p(max(duration_ms or 0, 0) / 1000),
            math.log1p(max(price or 0, 0)),
            duration_ms is not None,
            price is not None,
        )
    return ItemFeatures(tokens, numeric)
