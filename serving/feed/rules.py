"""Limits of one surface, as plain values; the defaults of every part change nothing."""

from dataclasses import astuple, dataclass


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

    @property
    def by_prediction(self) -> tuple[float, ...]:
        """The weights in their order."""
        return astuple(self)


@dataclass(frozen=True)
class ExplorationRules:
    """Places of the page that new items get.

    Attributes:
        every: one place in so many neighbouring ones; 0 for none.
    """

    every: int = 0

    def places(self, k: int) -> tuple[int, ...]:
        """Positions from 0 of a page of `k`: the middle of each stretch of `every`."""
        return tuple(range(self.every // 2, k, self.every)) if self.every else ()
