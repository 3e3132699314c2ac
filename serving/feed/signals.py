"""What is counted of items at the moment, kept by a replica beside each engine."""

from collections.abc import Mapping

import numpy as np

from models.arrays import Rows, Vectors
from models.ranking_features import ItemCounters
from models.tasks import TASKS
from serving.feed.facts import Facts

NOBODY: Rows = np.empty(0, np.int64)


class SignalBoard:
    """The newest counts of one engine's items; changed and read in one thread.

    Attributes:
        trending: rows by region, hottest first; under "" those of all regions.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._counters = _uncounted(facts)
        self.trending: Mapping[str, Rows] = {}

    @property
    def counters(self) -> ItemCounters:
        """Counts of all N items; those that came since the last `show` have none yet."""
        missing = len(self._facts) - len(self._counters)
        if missing > 0:
            known = self._counters
            self._counters = ItemCounters(
                np.concatenate([known.impressions, np.zeros(missing, np.float32)]),
                np.concatenate([known.reactions, np.zeros((missing, len(TASKS)), np.float32)]),
                self._facts.column("published_at_ms").copy(),
            )
        return self._counters

    def show(
        self, impressions: Vectors, reactions: Vectors, trending: Mapping[str, Rows] | None = None
    ) -> None:
        """Take over counts of the first items; the others have none.

        Args:
            impressions: [n], n <= N. reactions: [n, len(TASKS)].
            trending: by region; None leaves it as it is.
        """
        published_at_ms = self._facts.column("published_at_ms")[: len(impressions)].copy()
        self._counters = ItemCounters(impressions, reactions, published_at_ms)
        if trending is not None:
            self.trending = trending

    def hottest(self, region: str | None, count: int) -> Rows:
        """Return at most `count` trending rows of a region; of all regions where it has none."""
        return self.trending.get(region or "", self.trending.get("", NOBODY))[:count]


def _uncounted(facts: Facts) -> ItemCounters:
    count = len(facts)
    return ItemCounters(
        np.zeros(count, np.float32),
        np.zeros((count, len(TASKS)), np.float32),
        facts.column("published_at_ms").copy(),
    )
