"""Rankings of the two-tower model, through its exported towers and its index, as it is served."""

from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from embeddings.feed_model import FeedModel
from models.arrays import Rows, Vectors
from models.features import History, batch_histories
from training.protocols import Cases
from training.ranking import DEPTH, Ranking, batches, measured, rankable


def rank_two_tower(model: FeedModel, cases: Cases, item_ids: Sequence[str]) -> Ranking:
    """Retrieve the best items for every case.

    Args:
        model: the loaded bundle.
        cases: in rows of `item_ids`, which may differ from the bundle's.
        item_ids: [N] ids of the cases' rows. Items that the bundle lacks are never found.
    """
    bundle_rows = model.vocabulary.rows(item_ids)
    own = np.full(len(model.vocabulary), -1)
    own[bundle_rows[bundle_rows >= 0]] = np.flatnonzero(bundle_rows >= 0)
    ranked = np.full((len(cases), DEPTH), -1, np.int64)
    u = 0
    for some, interests in interest_batches(model, cases, bundle_rows):
        allowed = rankable(some, len(item_ids))[:, own] & (own >= 0)
        for user_interests, user_allowed in zip(interests, allowed, strict=True):
            rows, _ = model.retrieve(user_interests, DEPTH, user_allowed)
            ranked[u, : len(rows)] = own[rows]
            u += 1
    return measured(ranked, cases)


def interest_batches(
    model: FeedModel, cases: Cases, bundle_rows: Rows
) -> Iterator[tuple[Cases, Vectors]]:
    """Parts of the cases with their interest vectors [B, M, D]."""
    length = model.manifest.dimensions["history_length"]
    progress = tqdm(total=len(cases), desc="two-tower", unit="user")
    for some in batches(cases):
        translated = [translate(history, bundle_rows) for history in some.histories]
        yield some, model.interests(batch_histories(translated, length))
        progress.update(len(some))


def translate(history: History, bundle_rows: Rows) -> History:
    """The history in the bundle's rows, without the items that it does not know."""
    rows = bundle_rows[history.rows]
    known = rows >= 0
    return History(
        rows[known], history.actions[known], history.watch_ratio[known], history.age_s[known]
    )
