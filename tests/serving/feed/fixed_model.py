"""A model whose answers are chosen by the test: exact search over given vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from embeddings.feed_model import best_of_interests
from embeddings.index import ExactIndex
from embeddings.vocabulary import Vocabulary
from models.arrays import Mask, Rows, Vectors
from models.features import HistoryBatch
from serving.feed.engine import FeedEngine
from serving.feed.rules import FeedRules
from serving.feed.shelf import make_shelf

NOW_MS = 1_800_000_000_000
RULES = FeedRules(interest_candidates=20, popular_candidates=5, creator_window=4, creator_limit=2)
HISTORY_LENGTH = 8


@dataclass(frozen=True)
class FixedModel:
    """Items ``item-0``, ``item-1``, … with given vectors; a user's interest is their newest item.

    Attributes:
        retrieval_vectors: [N, D]. popularity: [N].
        interest: answered to every history, if given.
    """

    retrieval_vectors: Vectors
    popularity: Vectors
    interest: Vectors | None = None
    version: str = "fixed"
    asked: list[HistoryBatch] = field(default_factory=list)

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary([f"item-{n}" for n in range(len(self.popularity))])

    def interests(self, histories: HistoryBatch) -> Vectors:
        self.asked.append(histories)
        if self.interest is not None:
            return self.interest[None]
        return self.retrieval_vectors[histories.rows[:, :1]]

    def retrieve(self, interests: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Vectors]:
        rows, scores = ExactIndex(self.retrieval_vectors).search(interests, k, allowed)
        return best_of_interests(rows, scores, k)


def engine_over(
    model: FixedModel,
    creators: Sequence[str | None] | None = None,
    durations: Sequence[float | None] | None = None,
) -> FeedEngine:
    """An engine over the model; every item has a creator of its own unless given."""
    count = len(model.popularity)
    creators = creators if creators is not None else [f"creator-{n}" for n in range(count)]
    durations = durations if durations is not None else [None] * count
    items = pa.table({"creator_id": list(creators), "duration_ms": list(durations)})
    return FeedEngine(model, make_shelf(items, model.popularity), HISTORY_LENGTH)


def ring_model(count: int = 24) -> FixedModel:
    """Items on a circle, so that each is nearest to its neighbours; later ones more popular."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return FixedModel(vectors, np.arange(count, dtype=np.float32))
