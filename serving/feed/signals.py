"""What is counted of items at the moment, kept by a replica beside each engine."""

from collections.abc import Mapping

import numpy as np

from models.arrays import Rows, Vectors
from models.ranking_features import ItemCounters
from models.tasks import TASKS
from serving.feed.facts import Facts

NOBODY: Rows = np.empty(0, np.int64)
FEW = 5.0  # impressions an item, of which the order is half chance


class SignalBoard:
    """The newest counts of one engine's items; changed and read in one thread.

    Attributes:
        trending: rows by region, hottest first; under "" those of all regions.
    """

    def __init__(self, facts: Facts, base: ItemCounters | None = None) -> None:
        """Start without counts.

        Args:
            facts: of the items.
            base: what was counted of the first items before anything is shown; None for nothing.
        """
        self._facts = facts
        self._base = base
        self._counters = ItemCounters(
            np.zeros(0, np.float32), np.zeros((0, len(TASKS)), np.float32), np.zeros(0, np.int64)
        )
        self._newest: Vectors = np.zeros(1, np.float32)  # the last place is for later items
        self._ascending: Vectors | None = None  # counts of what was shown, once asked for
        self.trending: Mapping[str, Rows] = {}

    @property
    def counters(self) -> ItemCounters:
        """Counts of all N items; those that came since the last `show` have none yet."""
        if len(self._counters) < len(self._facts):
            known = self._counters
            self._take(known.impressions, known.reactions, based=len(known) > 0)
        return self._counters

    def show(
        self, impressions: Vectors, reactions: Vectors, trending: Mapping[str, Rows] | None = None
    ) -> None:
        """Take over counts of the first items, beyond the base; the others have none.

        Args:
            impressions: [n], n <= N. reactions: [n, len(TASKS)].
            trending: by region; None leaves it as it is.
        """
        self._take(impressions, reactions, based=False)
        self._newest = np.append(impressions, np.float32(0))
        self._ascending = None
        if trending is not None:
            self.trending = trending

    def exposure_rank(self, rows: Rows) -> Vectors:
        """Share of the items shown beyond the base that were shown less often: [K] in [0, 1).

        It shrinks to 0 while items were shown a few times only, of which the order is chance.
        """
        if self._ascending is None:
            self._ascending = np.sort(self._newest[self._newest > 0])
        total = float(self._ascending.sum())
        if not total:
            return np.zeros(len(rows), np.float32)
        shown = self._newest[np.minimum(rows, len(self._newest) - 1)]
        less = np.searchsorted(self._ascending, shown) / len(self._ascending)
        return np.asarray(less * total / (total + FEW * len(self._ascending)), np.float32)

    def _take(self, impressions: Vectors, reactions: Vectors, based: bool) -> None:
        """Counts of N items, zero past those given; `based` if the base is among them."""
        count = len(self._facts)
        shown = np.zeros(count, np.float32)
        reacted = np.zeros((count, len(TASKS)), np.float32)
        shown[: len(impressions)] = impressions
        reacted[: len(reactions)] = reactions
        if self._base is not None and not based:
            shown[: len(self._base)] += self._base.impressions
            reacted[: len(self._base)] += self._base.reactions
        published_at_ms = self._facts.column("published_at_ms").copy()
        self._counters = ItemCounters(shown, reacted, published_at_ms)

    def hottest(self, region: str | None, count: int) -> Rows:
        """Return at most `count` trending rows of a region; of all regions where it has none."""
        return self.trending.get(region or "", self.trending.get("", NOBODY))[:count]
