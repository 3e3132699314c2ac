"""Items that nobody has met: ranked by their content, and what that has to beat."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from embeddings.feed_model import FeedModel
from models.arrays import Mask
from models.features import ItemFeatures, item_features
from training.baselines import PopularityBaseline
from training.choose import Chosen, Setting
from training.content_prior import content_prior, foretold
from training.fit import lasting_prior
from training.log import Log
from training.protocols import Cases
from training.ranking import DEPTH, METRICS, Ranking, best_rows, measured, rank_baseline, rankable
from training.two_tower_ranking import interest_batches


def two_tower_cold_ranking(
    model: FeedModel, cases: Cases, cold: Mask, items: Sequence[Mapping[str, Any]]
) -> Ranking:
    """Rank the cold items by vectors that the item tower makes of their content alone."""
    cold_rows = np.flatnonzero(cold)
    _, vectors = model.embed([items[int(row)] for row in cold_rows])
    bundle_rows = model.vocabulary.rows([str(item["item_id"]) for item in items])
    ranked = []
    for some, interests in interest_batches(model, cases, bundle_rows):
        scores = (interests @ vectors.T).max(axis=1)
        allowed = rankable(some, len(items))[:, cold_rows]
        best = best_rows(scores, allowed, DEPTH)
        ranked.append(np.where(best >= 0, cold_rows[np.maximum(best, 0)], -1))
    return measured(np.concatenate(ranked), cases)


def content_popularity_ranking(
    log: Log, cases: Cases, cold: Mask, items: Sequence[Mapping[str, Any]]
) -> Chosen:
    """Rank the cold items by the popularity that a ridge regression reads off their content."""
    features, known = item_features(items), np.flatnonzero(~cold)
    popularity = lasting_prior(log).numpy()[known]
    of_known = ItemFeatures(features.tokens[known], features.numeric[known])
    by_content = content_prior(of_known, popularity)
    baseline = PopularityBaseline(foretold(by_content, features))
    ranking = rank_baseline(baseline, cases, 1.0, len(items))
    setting = Setting("popularity", {}, 1.0)
    return Chosen(dict.fromkeys(METRICS, setting), dict.fromkeys(METRICS, ranking))
