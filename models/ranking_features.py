"""What the ranker knows of a request and of its candidates: one implementation for both sides.

NumPy only. Everything is as of the moment of scoring: histories end before it and counters hold
what had happened by then. Letters beside the usual ones: K candidates, R events read of a history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Rows, VectorRows, Vectors
from models.features import ACTION_CODES, ACTIONS, History, batch_histories
from models.ranking_items import AFFINE, Keys
from models.tasks import TASKS

FEATURES = 2  # version of what is computed here and in `models.ranking_behaviour`
TASK_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "long_view": ("long_view", "complete"),
    "click": ("play", "long_view", "complete"),
    "like": ("like",),
    "comment": ("comment",),
    "share": ("share",),
    "follow": ("follow",),
    "click_product": ("click_product", "add_cart", "purchase"),
    "purchase": ("purchase",),
    "negative": ("skip", "not_interested", "report"),
}
LOVED = ("like", "comment", "share", "follow", "add_cart", "purchase")
LIKED = ("long_view", "complete", "click_product", "rating", *LOVED)
SIGNALS = ("met", "liked", "played", "loved")  # what is counted of a history's items
READ_ITEMS = 80  # newest distinct items of a history that affinities look at
RECENCY = 0.93  # weight of an item against the next newer one
NEWEST = 5  # items of a group that a mean cosine is taken over
SESSION_S = 1_800.0
NEVER_LOG_MINUTES = 12.0  # stands for the idle time of a user who has done nothing
TINY = 1e-9
INTEREST_FEATURES = 3
POPULARITY_COORDINATES = 2  # at the end of retrieval vectors
KERNEL = 6.0  # inverse width of the kernel over cosines
SHARE_STRENGTH = 3.0  # items that the user's own share counts for in a share
RATE_STRENGTH = 5.0  # reactions that the overall rate counts for where nothing else is said
USER_STRENGTH = 10.0  # impressions that the overall rates count for in those of a user


@dataclass(frozen=True)
class ItemCounters:
    """What had happened to N items by one moment; never anything after it.

    Frozen like a photograph: what derives from it may be kept as long as the object lives, so a
    host that counts on makes a new one.

    Attributes:
        impressions: [N] how often each was shown.
        reactions: [N, len(TASKS)] how often each task's reaction followed, in the order of `TASKS`.
        published_at_ms: [N] ms since 1970; 0 where not known.
    """

    impressions: Vectors
    reactions: Vectors
    published_at_ms: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.impressions)
        if self.reactions.shape != (n, len(TASKS)) or self.published_at_ms.shape != (n,):
            raise ValueError(
                f"counters: reactions are {list(self.reactions.shape)} and published_at_ms "
                f"{list(self.published_at_ms.shape)}, expected [{n}, {len(TASKS)}] and [{n}]"
            )

    def __len__(self) -> int:
        return len(self.impressions)


@dataclass(frozen=True)
class RankingContext:
    """One request: who asks, when and where.

    Attributes:
        interests: [M, D] from the user tower; M may be 0 for a user who has done nothing.
        history: everything known of the user's behaviour, newest first, ages up to `now_ms`.
        now_ms: the moment of scoring, ms since 1970.
        local_hour: in [0, 24) where the user is.
        region: of the user, None where not known.
        counters: of the items, as of `now_ms`.
    """

    interests: Vectors
    history: History
    now_ms: int
    local_hour: float
    region: str | None
    counters: ItemCounters


@dataclass(frozen=True)
class Reading:
    """The newest R distinct items of B histories, newest first; zeros where padded.

    Attributes:
        rows: [B, R], -1 where padded. age_s: [B, R] up to the moment of scoring.
        watch_ratio: [B, R]. signals: [B, R, len(SIGNALS)] 0 or 1. recency: [B, R] weights.
        keys: [B, R, len(KEYS)]. vectors: [B, R, H] of unit length.
    """

    rows: Rows
    age_s: Vectors
    watch_ratio: Vectors
    signals: Vectors
    recency: Vectors
    keys: Keys
    vectors: Vectors


@dataclass(frozen=True)
class Rates:
    """What is usual: the overall rate of each task, and how often an item had been shown.

    Attributes:
        overall: [len(TASKS)], 0 for tasks that the data lack.
        impressions: mean of the items that were shown.
        strength: reactions that the overall rate counts for in the rate of an item or creator.
        user_strength: impressions that the overall rates count for in those of a user.
    """

    overall: Vectors
    impressions: float
    strength: float = RATE_STRENGTH
    user_strength: float = USER_STRENGTH


@dataclass(frozen=True)
class Counts:
    """Counters gathered for K candidates.

    Attributes:
        impressions: [K]. reactions: [K, len(TASKS)]. age_h: [K] since publication, NaN unknown.
        creator_impressions: [K]. creator_reactions: [K, len(TASKS)]; of all the creator's items.
    """

    impressions: Vectors
    reactions: Vectors
    age_h: Vectors
    creator_impressions: Vectors
    creator_reactions: Vectors


def action_mask(names: Sequence[str]) -> NDArray[np.float32]:
    """[len(ACTIONS)] 1 for the named actions."""
    mask = np.zeros(len(ACTIONS), np.float32)
    mask[[ACTION_CODES[name] for name in names]] = 1.0
    return mask


SIGNAL_OF_CODE = np.stack(
    [action_mask(names) for names in (ACTIONS[1:], LIKED, ("play", *LIKED), LOVED)], 1
)
RECENCY_OF_RANK = (RECENCY ** np.arange(READ_ITEMS)).astype(np.float32)


def item_block(traits: Vectors, earlier: Vectors, retrieval: Vectors) -> Vectors:
    """[N, I] all that the item part of the first layer reads.

    Args:
        traits: [N, TRAITS] of `item_traits`.
        earlier: [N, len(TASKS) + 1] how each fared before the log that was learned from; zeros for
            items that came later.
        retrieval: [N, D].
    """
    return np.concatenate([traits, earlier, retrieval], 1, dtype=np.float32)


def unit(vectors: Vectors) -> Vectors:
    """Vectors [..., H] of length 1; zeros stay zeros."""
    return np.asarray(vectors / np.maximum(_length(vectors), TINY)[..., None], np.float32)


def _length(vectors: Vectors) -> Vectors:
    return np.asarray(np.sqrt(np.einsum("...h,...h->...", vectors, vectors)), np.float32)


def read(histories: Sequence[History], keys: VectorRows, vectors: VectorRows) -> Reading:
    """Look up the newest items of B histories.

    Args:
        histories: newest first, ages up to the moment of scoring.
        keys: [N, len(KEYS)]. vectors: [N, H] history vectors.
    """
    batch = batch_histories(histories, READ_ITEMS)
    present, rows = batch.mask, np.maximum(batch.rows, 0)
    idle_s = np.array([h.age_s[0] if len(h) else 0.0 for h in histories], np.float32)
    return Reading(
        rows=batch.rows,
        age_s=(batch.age_s + idle_s[:, None]) * present,
        watch_ratio=batch.watch_ratio,
        signals=SIGNAL_OF_CODE[batch.actions],
        recency=RECENCY_OF_RANK * present,
        keys=np.where(present[..., None], keys[rows], np.int32(0)),
        vectors=unit(np.asarray(vectors[rows])) * present[..., None],
    )


def usual_shares(reading: Reading) -> Vectors:
    """[B, 2, len(SIGNALS)] smoothed share of each signal among the items, plain and recent."""
    recent = np.einsum("br,brs->bs", reading.recency, reading.signals)
    total = np.stack([reading.signals.sum(1), recent], 1)
    return np.asarray((total + 1.0) / (total[..., :1] + 3.0), np.float32)


def user_features(reading: Reading, local_hour: Vectors, region: Rows, regions: int) -> Vectors:
    """[B, U] what is the same for all candidates of a request.

    Args:
        reading: of the users' histories.
        local_hour: [B] in [0, 24).
        region: [B] index among the model's regions, -1 for another.
        regions: how many the model knows.
    """
    met, liked = reading.signals[..., 0], reading.signals[..., 1]
    known = (reading.watch_ratio >= 0) * met
    session = (reading.age_s < SESSION_S) * met
    count, watched, in_session = met.sum(1), known.sum(1), session.sum(1)
    newest = [reading.signals[:, :n, 1:3].sum(1) / n for n in (1, 3, 10)]
    angle = 2 * np.pi * local_hour / 24
    rest = [
        np.log1p(count),
        np.where(count > 0, np.log1p(reading.age_s[:, 0] / 60), NEVER_LOG_MINUTES),
        np.log1p(in_session),
        ((session * liked).sum(1) + 1) / (in_session + 3),
        (known * reading.watch_ratio).sum(1) / np.maximum(watched, 1),
        watched / np.maximum(count, 1),
        np.sin(angle),
        np.cos(angle),
    ]
    shares = usual_shares(reading)[..., 1:].reshape(len(met), -1)
    there = region[:, None] == np.arange(regions)
    return np.concatenate([shares, *newest, np.stack(rest, 1), there], 1, dtype=np.float32)


def affinity_features(reading: Reading, rows: Rows, keys: Keys, vectors: Vectors) -> Vectors:
    """[B, K, A] how each user met what is like each of their candidates.

    What a history says is laid along the candidates, which are many: [B, R, K] and [B, ., K].

    Args:
        reading: of the users' histories.
        rows: [B, K] of the candidates. keys: [B, K, len(KEYS)]. vectors: [B, K, H], unit length.
    """
    recent = reading.signals * reading.recency[..., None]
    weights = np.concatenate([reading.signals, recent], 2).swapaxes(1, 2)
    same, newest = zip(*(_same_key(reading, keys, j) for j in range(AFFINE)), strict=True)
    cosines = reading.vectors @ vectors.swapaxes(1, 2)
    kernel = np.exp(KERNEL * (cosines - 1.0))
    sums = np.stack([weights @ alike for alike in (*same, kernel)], 1)
    features = [
        np.log1p(sums[:, :, [0, len(SIGNALS)]]).reshape(len(rows), -1, rows.shape[1]),
        np.stack(newest, 1),
        _shares(sums, usual_shares(reading)),
        *_similarities(cosines, reading),
        (reading.rows[:, :, None] == rows[:, None]).any(1)[:, None],
    ]
    return np.concatenate(features, 1, dtype=np.float32).swapaxes(1, 2)


def _same_key(reading: Reading, keys: Keys, j: int) -> tuple[Vectors, Vectors]:
    """[B, R, K] 1 where an item has the candidate's key; [B, K] how recent the newest of them is.

    Unknown keys are 0 on one side and -1 on the other.
    """
    own = np.where(keys[..., j] == 0, np.int32(-1), keys[..., j])
    same = reading.keys[..., j][:, :, None] == own[:, None]
    match = same.astype(np.float32)
    return match, (match * reading.recency[:, :, None]).max(1)


def _shares(sums: Vectors, usual: Vectors) -> Vectors:
    """[B, G * 2 * (S - 1), K] smoothed share of each signal in what matched, less the usual one.

    Args:
        sums: [B, G, 2 * S, K] of G ways to match, plain and recent.
        usual: [B, 2, S].
    """
    b, groups, _, k = sums.shape
    halves = sums.reshape(b, groups, 2, len(SIGNALS), k)
    base = usual[:, None, :, 1:, None]
    smoothed = (halves[..., 1:, :] + SHARE_STRENGTH * base) / (halves[..., :1, :] + SHARE_STRENGTH)
    return np.asarray((smoothed - base).reshape(b, -1, k))


def _similarities(cosines: Vectors, reading: Reading) -> list[Vectors]:
    """[B, ., K] cosines with the nearest and the newest of what was liked and of the rest."""
    met, liked = reading.signals[..., 0] > 0, reading.signals[..., 1] > 0
    groups = np.stack([liked, met & ~liked], 1)
    newest = groups & (groups.cumsum(2) <= NEWEST)
    mean = (newest / np.maximum(newest.sum(2, keepdims=True), 1)).astype(np.float32)
    outside = np.where(groups, 0.0, -2.0).astype(np.float32)
    nearest = [
        np.maximum((cosines + outside[:, g, :, None]).max(1, keepdims=True), -1.0) for g in range(2)
    ]
    return [*nearest, mean @ cosines, cosines[:, :1]]


def interest_features(interests: Vectors, retrieval: Vectors) -> Vectors:
    """[B, K, 3] products of each candidate with the interest that suits it best.

    The whole inner product, that of the popularity coordinates at the end, and the cosine of the
    rest; zeros where there is no interest.

    Args:
        interests: [B, M, D]. retrieval: [B, K, D] of the candidates.
    """
    b, k, _ = retrieval.shape
    if not interests.shape[1]:
        return np.zeros((b, k, INTEREST_FEATURES), np.float32)
    taste, popular = slice(None, -POPULARITY_COORDINATES), slice(-POPULARITY_COORDINATES, None)
    near = retrieval[..., taste] @ interests[..., taste].swapaxes(1, 2)
    liked = retrieval[..., popular] @ interests[..., popular].swapaxes(1, 2)
    best = (near + liked).argmax(2)[..., None]
    near, liked = (np.take_along_axis(part, best, 2)[..., 0] for part in (near, liked))
    lengths = np.take_along_axis(_length(interests[..., taste]), best[..., 0], 1)
    cosine = near / np.maximum(lengths * _length(retrieval[..., taste]), TINY)
    return np.stack([near + liked, liked, cosine], 2, dtype=np.float32)


def counter_features(counts: Counts, rates: Rates, tasks: Sequence[int]) -> Vectors:
    """[K, C] how the candidates and their creators had fared, against what is usual.

    Args:
        counts: of the candidates.
        rates: what is usual.
        tasks: indices of the tasks that the data have.
    """
    overall = rates.overall[list(tasks)]
    own, by_creator = counts.reactions[:, tasks], counts.creator_reactions[:, tasks]
    own = rate_logits(own, counts.impressions, overall, rates.strength)
    creator = rate_logits(by_creator, counts.creator_impressions, overall, rates.strength)
    age_known = np.isfinite(counts.age_h)
    age_h = np.where(age_known, np.maximum(counts.age_h, 0.0), 0.0)
    rest = [
        np.log1p(counts.impressions),
        np.log((counts.impressions + 1.0) / (rates.impressions + 1.0)),
        np.log1p(counts.creator_impressions),
        np.log1p(age_h),
        age_known,
    ]
    return np.concatenate([own, creator, np.stack(rest, 1)], 1, dtype=np.float32)


def rate_logits(
    hits: Vectors, shown: Vectors, overall: Vectors, strength: float | Vectors = RATE_STRENGTH
) -> Vectors:
    """[K, T] log odds of the smoothed rates, less those of the overall rates [T]."""
    rate = (hits + strength) / (np.maximum(shown[:, None], hits) + strength / overall)
    rate = np.clip(rate, 1e-6, 1 - 1e-6)
    logits: Vectors = np.log(rate / (1 - rate)) - np.log(overall / (1 - overall))
    return logits
