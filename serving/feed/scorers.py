"""Scores of candidates."""

import numpy as np

from models.arrays import Rows, VectorRows, Vectors
from models.ranking_features import RankingContext
from serving.feed.contracts import Ranker
from serving.feed.facts import Facts
from serving.feed.question import Question
from serving.feed.rules import ValueWeights
from serving.feed.signals import SignalBoard
from serving.feed.value import contributions


def interest_scores(interests: Vectors, vectors: VectorRows, rows: Rows) -> Vectors:
    """Return the best inner product of each row with an interest: [K].

    Exact, whatever the index approximates, and the same for items of every source.

    Args:
        interests: [M, D].
        vectors: [N, D].
        rows: [K].
    """
    products = np.asarray(vectors[rows]) @ interests.T
    best: Vectors = products.max(axis=1)
    return best


def popularity_scores(popularity: Vectors, rows: Rows) -> Vectors:
    """Return the popularity of each row: [K]."""
    return np.asarray(popularity[rows])


def ranking_context(
    question: Question, signals: SignalBoard, vectors: VectorRows
) -> RankingContext:
    """What the ranker knows of a request.

    Args:
        question: whose history is read. signals: give the counters.
        vectors: [N, D], of which D is needed for a user without interests.
    """
    interests = question.interests
    if interests is None:
        interests = np.empty((0, vectors[np.zeros(1, np.int64)].shape[1]), np.float32)
    return RankingContext(
        interests,
        question.viewer.history,
        question.request.now_ms,
        question.viewer.local_hour,
        question.request.standing.region,
        signals.counters,
    )


def ranker_parts(
    ranker: Ranker, context: RankingContext, rows: Rows, weights: ValueWeights, facts: Facts
) -> Vectors:
    """What each prediction adds to the value of each row: [K, len(PREDICTIONS)]."""
    predictions = ranker.predict(context, rows)
    return contributions(predictions, weights, facts.column("commerce")[rows])
