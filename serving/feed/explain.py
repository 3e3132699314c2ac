"""Why each item of a page stands where it stands."""

import numpy as np

from models.arrays import Rows, VectorRows, Vectors
from serving.feed.candidates import SOURCE_CODES, Candidates
from serving.feed.contracts import InterestModel, Reason
from serving.feed.hydrate import Viewer
from serving.feed.shelf import Shelf


def explained(
    page: Candidates, ranking: Candidates, viewer: Viewer, model: InterestModel, shelf: Shelf
) -> list[tuple[Reason, ...]]:
    """Return the reasons of each item of the page.

    Codes: ``popular`` (value: its rank by popularity), ``near_history`` (the item of the user's
    history that is most like it), ``creator_spread`` (positions gained, or lost where negative,
    against the order by score).
    """
    place = {row: n for n, row in enumerate(ranking.rows.tolist())}
    popular_rank = {row: n for n, row in enumerate(shelf.popular_rows.tolist(), start=1)}
    nearest = nearest_rows(page.rows, viewer.history.rows, model.retrieval_vectors)
    result = []
    for position, row in enumerate(page.rows.tolist()):
        reasons = []
        if page.sources[position] == SOURCE_CODES["popular"]:
            reasons.append(Reason("popular", popular_rank[row]))
        elif nearest is not None:
            item_id = model.vocabulary.item_id(int(nearest[position]))
            reasons.append(Reason("near_history", item_id))
        if place[row] != position:
            reasons.append(Reason("creator_spread", place[row] - position))
        result.append(tuple(reasons))
    return result


def nearest_rows(rows: Rows, history: Rows, vectors: VectorRows) -> Rows | None:
    """Return for each row [K] the row of the history [T] with the highest cosine; None if T = 0."""
    if not len(history):
        return None
    similarity = _unit(vectors[rows]) @ _unit(vectors[history]).T
    nearest: Rows = history[similarity.argmax(axis=1)]
    return nearest


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, 1e-12)
    return unit
