"""What the ranker knows of one request and of every item at the moment of scoring."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Vectors
from models.features import History
from models.tasks import TASKS


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
