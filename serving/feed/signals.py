"""What is counted of items at the moment, kept by a replica beside each engine."""

from collections.abc import Mapping

import numpy as np

from models.arrays import Rows, Vectors
from models.ranking_features import ItemCounters
from models.tasks import TASKS
from serving.feed.facts import Facts

NOBODY: Rows = np.empty(0, np.int64)
FEW = 5.0  # impressions, by which chance may move an item that is seldom shown


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
        self._usual = 0.0
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
        shown = impressions > 0
        self._usual = float(impressions[shown].mean()) if shown.any() else 0.0
        if trending is not None:
            self.trending = trending

    def times_usual(self, rows: Rows) -> Vectors:
        """How many times as often as items usually are, each row [K] was shown beyond the base."""
        shown = self._newest[np.minimum(rows, len(self._newest) - 1)]
        return np.asarray((shown + FEW) / (self._usual + FEW), np.float32)

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
