"""Limits of one surface, as plain values; the defaults of every part change nothing."""

from dataclasses import astuple, dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.tasks import PREDICTIONS

NEVER_LATE_MS = float("inf")


@dataclass(frozen=True)
class ValueWeights:
    """Weight of each prediction of the ranker in the value of an item, >= 0; `negative` subtracts.

    In the order of ``models.tasks.PREDICTIONS``.
    """

    long_view: float = 0.35
    click: float = 0.0
    like: float = 0.25
    comment: float = 0.20
    share: float = 0.10
    follow: float = 0.10
    click_product: float = 0.0
    purchase: float = 0.0
    negative: float = 0.0
    watch_ratio: float = 0.0

    @cached_property
    def signed(self) -> NDArray[np.float32]:
        """[len(PREDICTIONS)], below zero where a prediction subtracts."""
        signs = [-1.0 if name == "negative" else 1.0 for name in PREDICTIONS]
        return np.array(astuple(self), np.float32) * np.array(signs, np.float32)


@dataclass(frozen=True)
class WindowRule:
    """Of any `window` neighbouring positions at most `limit` are of one group."""

    window: int = 1
    limit: int = 1


@dataclass(frozen=True)
class DiversityRules:
    """Maximal marginal relevance (Carbonell & Goldstein 1998).

    Attributes:
        strength: what an item that equals one already on the page loses, as a share of the
            difference between the best and the last of the `depth` best candidates; 0 is off.
        depth: candidates that are looked at.
    """

    strength: float = 0.0
    depth: int = 150


@dataclass(frozen=True)
class FatigueRules:
    """What was shown of a category lately without reaction lessens the value of more of it.

    Attributes:
        window: of the newest shown items so many are looked at; 0 is off.
        loss: share of the value lost by each shown item.
        floor: share of the value that is always left.
    """

    window: int = 0
    loss: float = 0.0
    floor: float = 1.0


@dataclass(frozen=True)
class ReachRules:
    """What was shown more often than other items since the bundle was made loses value.

    Attributes:
        loss: share of the value that the most shown item loses, the median half of it; 0 is off.
    """

    loss: float = 0.0


@dataclass(frozen=True)
class SmallCreatorRules:
    """Places for those whom popularity forgets.

    Attributes:
        share: of the positions, at least; 0 is off.
        tail: the least popular creators who hold this share of all popularity are small.
    """

    share: float = 0.0
    tail: float = 0.2


@dataclass(frozen=True)
class ExplorationRules:
    """Places of the page that new items get.

    Attributes:
        every: one place in so many neighbouring ones; 0 for none.
    """

    every: int = 0

    def places(self, k: int, before: int = 0) -> tuple[int, ...]:
        """Positions from 0 of a page of `k`: the middle of each stretch of `every`.

        Args:
            k: places of the page. before: places of the pages before it.
        """
        if not self.every:
            return ()
        return tuple(range((self.every // 2 - before) % self.every, k, self.every))


@dataclass(frozen=True)
class MinorRules:
    """When users under 18 see no commerce item, by the clock where they are.

    Attributes:
        closed_from_hour: begins here, on one day. closed_until_hour: ends here, on the next.
        unknown_age: whether users of unknown age are treated as minors.
    """

    closed_from_hour: int = 22
    closed_until_hour: int = 8
    unknown_age: bool = False


@dataclass(frozen=True)
class StageBudgets:
    """Milliseconds after which a stage is given up for its fallback."""

    sources_ms: float = NEVER_LATE_MS
    ranker_ms: float = NEVER_LATE_MS
    selectors_ms: float = NEVER_LATE_MS


@dataclass(frozen=True)
class Boost:
    """Values of a group of items times a factor; 0 puts them last.

    Attributes:
        kind: of the group: item, creator or category (what is below it too).
        name: id or path.
    """

    kind: str
    name: str
    factor: float


@dataclass(frozen=True)
class Pin:
    """An item at a position, from 1, for everyone who may see it."""

    item_id: str
    position: int


@dataclass(frozen=True)
class FeedRules:
    """Limits of one surface in one region at one moment.

    Attributes:
        interest_candidates: taken from the index before filters.
        popular_candidates: taken from the most popular items before filters.
        creator_window: any so many neighbouring positions hold
        creator_limit: at most so many items of one creator, while others are left.
        trending_candidates: taken from what is trending in the region.
        followed_candidates: taken from the newest of the creators that the user follows.
        similar_candidates: taken from what is like the item that was liked last.
        value: the value formula; only with a bundle that has a ranker.
        commerce: how many commerce items neighbouring positions hold.
        boosts: of calendar and operators. pins: of operators.
        killed: ``source:NAME``, ``selector:NAME`` or ``ranker``: not asked.
    """

    interest_candidates: int
    popular_candidates: int
    creator_window: int
    creator_limit: int
    trending_candidates: int = 0
    followed_candidates: int = 0
    similar_candidates: int = 0
    value: ValueWeights = field(default_factory=ValueWeights)
    commerce: WindowRule = field(default_factory=WindowRule)
    diversity: DiversityRules = field(default_factory=DiversityRules)
    fatigue: FatigueRules = field(default_factory=FatigueRules)
    reach: ReachRules = field(default_factory=ReachRules)
    small_creators: SmallCreatorRules = field(default_factory=SmallCreatorRules)
    exploration: ExplorationRules = field(default_factory=ExplorationRules)
    minors: MinorRules = field(default_factory=MinorRules)
    budgets: StageBudgets = field(default_factory=StageBudgets)
    boosts: tuple[Boost, ...] = ()
    pins: tuple[Pin, ...] = ()
    killed: frozenset[str] = frozenset()

    @property
    def unhurried(self) -> "FeedRules":
        """The same without budgets: the answer does not depend on how busy the machine is."""
        return replace(self, budgets=StageBudgets())

    def asks(self, what: str) -> bool:
        """Whether no operator has switched this off."""
        return what not in self.killed
