"""A dataset as a bundle sees it, ready for the ranker: rows, windows, features, rates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from configs.ranking import DataSection
from embeddings.feed_model import FeedModel, published_ms
from models.arrays import Mask, Rows, Vectors
from models.ranking_behaviour import habit_features
from models.ranking_features import (
    INTEREST_FEATURES,
    Counts,
    ItemCounters,
    Rates,
    counter_features,
)
from models.tasks import TASKS
from training.datasets.interactions import Interactions
from training.fit_ranker import RankerData
from training.log import Log, encode, select
from training.ranking_arrays import (
    Catalogue,
    Places,
    catalogue_of,
    cross_with,
    places_of,
    rates_of,
    told_tasks,
    user_and_cross,
)
from training.ranking_examples import (
    Impressions,
    Past,
    counts_before,
    impressions_of,
    past_of,
)

VALID_SHARE = 0.1  # of the log's time, as the protocols have it
NEAR = 2_000  # impressions between which counters hardly differ


@dataclass(frozen=True)
class Study:
    """E impressions with all that is known by each.

    Attributes:
        shown: new to their users, oldest first. counts: as of each.
        user: [E, U']. habits: [E, 1 + len(TASKS)]. pairs: [E, C'] without counters.
        catalogue: of the N items. past: of the users. places: of the users.
        counters: at the end of the window that may be learned from; end_ms: its end.
        reads_vectors: whether retrieval vectors and interests are read.
    """

    shown: Impressions
    counts: Counts
    user: Vectors
    habits: Vectors
    pairs: Vectors
    catalogue: Catalogue
    past: Past
    places: Places
    counters: ItemCounters
    end_ms: int
    reads_vectors: bool

    def data(self, rates: Rates, tasks: Sequence[int]) -> RankerData:
        """The impressions as a network reads them; what it is not to read is 0 for all of them."""
        counters = counter_features(self.counts, rates, tasks)
        cross = np.concatenate([self.pairs, counters], 1, dtype=np.float32)
        items = self.catalogue.block
        if not self.reads_vectors:
            told, items = self.pairs.shape[1], items.copy()
            cross[:, told - INTEREST_FEATURES : told] = 0.0
            items[:, items.shape[1] - self.catalogue.retrieval.shape[1] :] = 0.0
        return RankerData(
            user=np.concatenate([self.user, habit_features(self.habits, rates, tasks)], 1),
            cross=cross,
            items=items,
            item_rows=self.shown.item_rows,
            labels=self.shown.labels[:, list(tasks)],
            watch_ratio=self.shown.watch_ratio,
        )

    def rates(self, known: Mask, section: DataSection) -> tuple[Rates, list[int]]:
        """What is usual in some of the impressions, and the tasks that are told often enough."""
        shown, counts = self.shown.take(known), taken(self.counts, known)
        tasks = told_tasks(shown, section.least_reactions)
        strengths = section.rate_strength, section.user_strength
        return rates_of(shown, counts, tasks, *strengths), tasks


def taken(counts: Counts, chosen: Mask | Rows) -> Counts:
    """The counts of the chosen impressions."""
    return Counts(
        counts.impressions[chosen],
        counts.reactions[chosen],
        counts.age_h[chosen],
        counts.creator_impressions[chosen],
        counts.creator_reactions[chosen],
    )


def study_of(
    model: FeedModel,
    data: Interactions,
    section: DataSection,
    end_ms: int,
    until_ms: int,
) -> Study:
    """Compute everything for the newest impressions up to a moment.

    Args:
        model: of the bundle. data: whose users are looked at.
        section: settings.
        end_ms: end of the window that may be learned from.
        until_ms: end of the impressions that are wanted.
    """
    log = in_rows_of(model, data)
    everything = impressions_of(select(log, log.time_ms <= until_ms))
    catalogue = catalogue_of(model, select(log, ~log.logged))
    creators = catalogue.keys[:, 0]
    published = published_ms(model.items)
    counts = counts_before(everything, creators, published)
    new = np.flatnonzero(~everything.repeated)[-section.impressions_limit :]
    shown = everything.take(new)
    past = past_of(log, section.history_events, reads_impressions=section.reads_impressions)
    places = places_of(data.users, section.time_zone, end_ms)
    user, habits, pairs = user_and_cross(model, shown, past, catalogue, places)
    return Study(
        shown=shown,
        counts=taken(counts, new),
        user=user,
        habits=habits,
        pairs=pairs,
        catalogue=catalogue,
        past=past,
        places=places,
        counters=counters_at(everything, published, end_ms),
        end_ms=end_ms,
        reads_vectors=section.reads_vectors,
    )


def as_requests(model: FeedModel, study: Study, chosen: Mask) -> Study:
    """The chosen impressions as candidates of one request a user, at the first of them.

    Within a user, features of a history that runs on tell an impression's place among the user's
    own answers: the share of long views so far is lower before one than after it, so that it ranks
    them upside down by mere arithmetic. Candidates of one request share one history.
    """
    shown = study.shown.take(chosen)
    first = np.full(int(shown.user_rows.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, shown.user_rows, shown.time_ms)
    asked = replace(shown, time_ms=first[shown.user_rows])
    user, habits, pairs = user_and_cross(model, asked, study.past, study.catalogue, study.places)
    counts = taken(study.counts, chosen)
    return replace(study, shown=shown, counts=counts, user=user, habits=habits, pairs=pairs)


def unshown(model: FeedModel, study: Study, per_impression: int, seed: int) -> tuple[Study, Rows]:
    """Pairs that might have been: each impression's user with other items of about the same time.

    Counters are those of the impressions that the items are taken from; labels mean nothing.

    Returns:
        The pairs, and for each of them the impression whose user and moment it has.
    """
    count = len(study.shown)
    owners = np.repeat(np.arange(count), per_impression)
    steps = np.random.default_rng(seed).integers(-NEAR, NEAR + 1, len(owners))
    others = np.clip(owners + steps, 0, count - 1)
    rows = study.shown.item_rows[others]
    wanted = rows.reshape(count, per_impression)
    pairs = cross_with(model, study.shown, study.past, study.catalogue, wanted)
    asked = replace(
        study,
        shown=replace(study.shown.take(owners), item_rows=rows),
        counts=taken(study.counts, others),
        user=study.user[owners],
        habits=study.habits[owners],
        pairs=pairs.reshape(len(owners), -1),
    )
    return asked, owners


def counters_at(shown: Impressions, published: Rows, end_ms: int) -> ItemCounters:
    """What had happened to the N items by a moment."""
    n = len(published)
    before = shown.take(shown.time_ms <= end_ms)
    reactions = [np.bincount(before.item_rows, before.labels[:, t], n) for t in range(len(TASKS))]
    return ItemCounters(
        np.bincount(before.item_rows, minlength=n).astype(np.float32),
        np.stack(reactions, 1).astype(np.float32),
        published,
    )


def in_rows_of(model: FeedModel, data: Interactions) -> Log:
    """The log in the bundle's item rows; events with items that it does not know are left out."""
    rows = model.vocabulary.rows(data.items["item_id"].to_pylist())
    log = encode(data)
    known = select(log, rows[log.item_rows] >= 0)
    return replace(known, item_rows=rows[known.item_rows], item_count=len(model.vocabulary))
