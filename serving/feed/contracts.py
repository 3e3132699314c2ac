"""What the feed core needs from a model and what the host tells it about a request."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from models.arrays import Mask, Rows, VectorRows, Vectors
from models.features import HistoryBatch
from models.ranking_features import RankingContext
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


class Ranker(Protocol):
    """The multi-task ranker of one bundle."""

    def predict(self, context: RankingContext, rows: Rows) -> Vectors:
        """Return [K, len(PREDICTIONS)]; a column of NaN for a task that it does not know."""


class Exploration(Protocol):
    """New items whose first audience is not complete."""

    def draw(
        self,
        request: "FeedRequest",
        interests: Vectors | None,
        keeps: Callable[[Rows], Mask],
        count: int,
        taste: Callable[[Rows], Vectors] | None = None,
    ) -> tuple[Rows, Vectors]:
        """Choose for one page among items that have budget left.

        Args:
            request: for whom and when.
            interests: [M, D] of the viewer; None where nothing is known.
            keeps: rows [K] -> mask [K], true where the filters let this viewer see the item.
            count: places to fill.
            taste: rows [K] -> [K] in [-1, 1], how much the viewer's history holds of the category.

        Returns:
            At most `count` distinct rows that `keeps`, in the order of their places, and the
            probability in (0, 1] with which each was drawn, given those before it.
        """

    def tier(self, row: int) -> int | None:
        """Return the impressions granted to a row so far; None where it is not on the ladder."""


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
        seen: ids of items that were shown to the user, the newest last.
        excluded: ids that the caller does not want.
        paged: ids of the pages before this one, in their order.
        standing: what is recorded of the user.
        hidden: [N] true where an item may not be shown; None for nothing hidden.
        degraded: why the host knows less than it should; codes.
        explain: give the reasons of each item.
        limited: [N] true where an item may be shown but not spread; None for nothing limited.
        told_hour: in [0, 24), what the caller says of the time where the user is.
        explore: whether exposure can be reserved, so that new items may have their places.
        deadline_s: when the caller stops waiting, on the clock of ``time.perf_counter``.
    """

    k: int
    now_ms: int
    recent: tuple[Behaviour, ...] = ()
    seen: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    paged: tuple[str, ...] = ()
    standing: Standing = ANYONE
    hidden: Mask | None = None
    degraded: tuple[str, ...] = ()
    explain: bool = False
    limited: Mask | None = None
    told_hour: float | None = None
    explore: bool = True
    deadline_s: float = math.inf


@dataclass(frozen=True)
class Reason:
    """Why an item stands where it stands: a stable code and its one value."""

    code: str
    value: str | int | float


@dataclass(frozen=True)
class PageItem:
    """One result.

    Attributes:
        score: NaN where the model gave none.
        propensity: probability with which it was drawn; 1 if by no chance.
        reserve: it is shown at the expense of its exposure budget.
    """

    item_id: str
    score: float
    source: str
    position: int
    creator_id: str | None
    reasons: tuple[Reason, ...] = ()
    propensity: float = 1.0
    reserve: bool = False


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
