"""What the feed core needs from a model and what the host tells it about a request."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from models.arrays import Mask, Rows, VectorRows, Vectors
from models.features import HistoryBatch
from serving.feed.terms import ANYONE, Standing


class ItemNames(Protocol):
    """Item ids and their rows."""

    def __len__(self) -> int:
        """N."""

    def rows(self, item_ids: Iterable[str]) -> Rows:
        """Return the rows of ids, -1 where an id is unknown."""

    def item_id(self, row: int) -> str:
        """Return the id in a row."""


class InterestModel(Protocol):
    """One bundle's towers, vectors and index; read-only."""

    @property
    def version(self) -> str:
        """The bundle's version."""

    @property
    def vocabulary(self) -> ItemNames:
        """N item ids."""

    @property
    def retrieval_vectors(self) -> VectorRows:
        """[N, D]."""

    @property
    def popularity(self) -> Vectors:
        """[N], >= 0, higher is more popular."""

    def interests(self, histories: HistoryBatch) -> Vectors:
        """Return the interest vectors [B, M, D] of B histories."""

    def retrieve(self, interests: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Vectors]:
        """Return at most `k` rows and scores, best first, for one user's interests [M, D]."""


class Behaviour(NamedTuple):
    """One thing a user did; `time_ms` counts from 1970."""

    item_id: str
    type: str
    time_ms: int
    watch_ms: float | None = None


class DeadlineError(Exception):
    """The caller no longer waits; `stage` is the last that was done."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"the deadline passed during {stage}")
        self.stage = stage


@dataclass(frozen=True)
class FeedRequest:
    """One request with everything its host knows about the user.

    Attributes:
        k: results wanted, >= 1.
        now_ms: the moment of scoring, ms since 1970.
        recent: what the user did, in any order.
        seen: ids of items that were shown to the user.
        excluded: ids that the caller does not want.
        standing: what is recorded of the user.
        hidden: [N] true where an item may not be shown; None for nothing hidden.
        degraded: why the host knows less than it should; codes.
        explain: give the reasons of each item.
        deadline_s: when the caller stops waiting, on the clock of ``time.perf_counter``.
    """

    k: int
    now_ms: int
    recent: tuple[Behaviour, ...] = ()
    seen: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    standing: Standing = ANYONE
    hidden: Mask | None = None
    degraded: tuple[str, ...] = ()
    explain: bool = False
    deadline_s: float = math.inf


@dataclass(frozen=True)
class FeedRules:
    """Limits of one surface.

    Attributes:
        interest_candidates: taken from the index before filters.
        popular_candidates: taken from the most popular items before filters.
        creator_window: any so many neighbouring positions hold
        creator_limit: at most so many items of one creator, while others are left.
    """

    interest_candidates: int
    popular_candidates: int
    creator_window: int
    creator_limit: int


@dataclass(frozen=True)
class Reason:
    """Why an item stands where it stands: a stable code and its one value."""

    code: str
    value: str | int


@dataclass(frozen=True)
class PageItem:
    """One result; `score` is NaN where the model gave none."""

    item_id: str
    score: float
    source: str
    position: int
    creator_id: str | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Removed:
    """A caller's candidate that is not in the answer."""

    item_id: str
    reason: str


@dataclass(frozen=True)
class Page:
    """One answer.

    Attributes:
        items: best first.
        bundle: version of the bundle that every item and score comes from.
        degraded: why the answer is less than it could be; codes.
        removed: only of `rank`.
        stage_ms: milliseconds per stage.
        nan_scores: candidates without a score.
    """

    items: tuple[PageItem, ...]
    bundle: str
    degraded: tuple[str, ...]
    removed: tuple[Removed, ...]
    stage_ms: dict[str, float]
    nan_scores: int
