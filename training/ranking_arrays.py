"""Logged impressions as the arrays that a ranker and its tree baseline learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from embeddings.feed_model import FeedModel
from embeddings.ranker_model import region_index
from models.arrays import Rows, Vectors
from models.features import ACTION_CODES, History, batch_histories
from models.ranking_behaviour import habits, session_features
from models.ranking_features import (
    RATE_STRENGTH,
    TASK_ACTIONS,
    USER_STRENGTH,
    Counts,
    Rates,
    Reading,
    affinity_features,
    interest_features,
    item_block,
    rate_logits,
    read,
    unit,
    user_features,
)
from models.ranking_items import (
    Keys,
    item_keys,
    item_traits,
)
from models.tasks import TASKS
from training.log import Log, select
from training.ranking_examples import Impressions, Past

BATCH = 1_024
LEAST_RATE = 1e-6


@dataclass(frozen=True)
class Catalogue:
    """What features look up of N items.

    Attributes:
        keys: [N, len(KEYS)]. block: [N, I] item features. history: [N, H] of unit length.
        retrieval: [N, D].
    """

    keys: Keys
    block: Vectors
    history: Vectors
    retrieval: Vectors


@dataclass(frozen=True)
class Places:
    """Where U users are: time zones and regions; both known to nobody else than the data.

    Attributes:
        offsets_h: [U] hours that local time is ahead of UTC. regions: [U] index, -1 unknown.
        names: of the regions.
    """

    offsets_h: Vectors
    regions: Rows
    names: tuple[str, ...]


def catalogue_of(model: FeedModel, past: Log) -> Catalogue:
    """Items as the features see them.

    Args:
        model: of the bundle, whose row order is that of the log.
        past: events before the log proper, that tell how items had fared.
    """
    records = model.items.to_pylist()
    retrieval = np.asarray(model.retrieval_vectors)
    traits = np.stack([item_traits(record) for record in records])
    return Catalogue(
        keys=item_keys(records),
        block=item_block(traits, earlier_rates(past), retrieval),
        history=unit(np.asarray(model.history_table)),
        retrieval=retrieval,
    )


def earlier_rates(past: Log) -> Vectors:
    """[N, len(TASKS) + 1] how items fared before the log proper: log odds and how often shown.

    A history that keeps one event an item tells long views and later reactions alone; tasks that
    it does not tell are 0.
    """
    n = past.item_count
    shown = np.unique(past.user_rows * n + past.item_rows) % n
    met = np.bincount(shown, minlength=n).astype(np.float32)
    found = np.zeros((n, len(TASKS) + 1), np.float32)
    for t, task in enumerate(TASKS):
        codes = [ACTION_CODES[name] for name in TASK_ACTIONS[task]]
        of_task = select(past, np.isin(past.actions, codes))
        hits = np.bincount(
            np.unique(of_task.user_rows * n + of_task.item_rows) % n, minlength=n
        ).astype(np.float32)
        if hits.any():
            overall = np.array([min(hits.sum() / met.sum(), 0.99)], np.float32)
            found[:, t] = rate_logits(hits[:, None], met, overall)[:, 0]
    found[:, -1] = np.log1p(met)
    return found


def places_of(users: pa.Table, default_zone: str, moment_ms: int) -> Places:
    """Regions and time zones of the users' records; `default_zone` where they name none."""
    count = len(users)
    zones = _column(users, "time_zone", count)
    at = datetime.fromtimestamp(moment_ms / 1000, tz=ZoneInfo("UTC"))
    ahead_h = {
        zone: at.astimezone(ZoneInfo(zone or default_zone)).utcoffset().total_seconds() / 3600  # type: ignore[union-attr]
        for zone in set(zones)
    }
    regions = _column(users, "region", count)
    names = tuple(sorted({region for region in regions if region}))
    return Places(
        np.array([ahead_h[zone] for zone in zones], np.float32),
        np.array([region_index(names, region) for region in regions], np.int64),
        names,
    )


def _column(table: pa.Table, name: str, count: int) -> Sequence[str | None]:
    if name not in table.column_names:
        return [None] * count
    values: list[str | None] = table[name].to_pylist()
    return values


def told_tasks(shown: Impressions, least: int) -> list[int]:
    """Indices of the tasks with at least `least` reactions, and as many impressions without."""
    hits = shown.labels.sum(0)
    return [t for t in range(len(TASKS)) if least <= hits[t] <= len(shown) - least]


def rates_of(
    shown: Impressions,
    counts: Counts,
    tasks: Sequence[int],
    strength: float = RATE_STRENGTH,
    user_strength: float = USER_STRENGTH,
) -> Rates:
    """What is usual among some impressions."""
    overall = np.zeros(len(TASKS), np.float32)
    overall[list(tasks)] = np.clip(shown.labels[:, tasks].mean(0), LEAST_RATE, 1 - LEAST_RATE)
    return Rates(overall, float(counts.impressions.mean()), strength, user_strength)


def user_and_cross(
    model: FeedModel,
    shown: Impressions,
    past: Past,
    catalogue: Catalogue,
    places: Places,
) -> tuple[Vectors, Vectors, Vectors]:
    """What is told as of each impression, before anything is held to be usual.

    Returns:
        [E, U'] of the users, [E, 1 + len(TASKS)] their habits, [E, C'] of the pairs.
    """
    users, counts, pairs = [], [], []
    hours = hours_of(shown, places)
    for start in tqdm(range(0, len(shown), BATCH), "features", delay=2):
        own = slice(start, start + BATCH)
        histories = histories_of(shown.take(np.arange(len(shown))[own]), past)
        reading = read(histories, catalogue.keys, catalogue.history)
        region = places.regions[shown.user_rows[own]]
        users.append(user_features(reading, hours[own], region, len(places.names)))
        rows = shown.item_rows[own, None]
        counts.append(habits(histories))
        pairs.append(pairs_of(model, histories, reading, rows, catalogue)[:, 0])
    return np.concatenate(users), np.concatenate(counts), np.concatenate(pairs)


def cross_with(
    model: FeedModel, shown: Impressions, past: Past, catalogue: Catalogue, rows: Rows
) -> Vectors:
    """[E, K, C'] of each impression's user, as of its moment, with other items [E, K]."""
    pairs = []
    for start in tqdm(range(0, len(shown), BATCH), "pairs", delay=2):
        own = slice(start, start + BATCH)
        histories = histories_of(shown.take(np.arange(len(shown))[own]), past)
        reading = read(histories, catalogue.keys, catalogue.history)
        pairs.append(pairs_of(model, histories, reading, rows[own], catalogue))
    return np.concatenate(pairs)


def histories_of(shown: Impressions, past: Past) -> list[History]:
    """What each impression's user had done by then."""
    moments = zip(shown.user_rows.tolist(), shown.time_ms.tolist(), strict=True)
    return [past.before(user, time_ms) for user, time_ms in moments]


def pairs_of(
    model: FeedModel,
    histories: Sequence[History],
    reading: Reading,
    rows: Rows,
    catalogue: Catalogue,
) -> Vectors:
    """[B, K, C'] of B histories and their candidates [B, K], without counters."""
    near = affinity_features(reading, rows, catalogue.keys[rows], catalogue.history[rows])
    length = model.manifest.dimensions["history_length"]
    interests = model.interests(batch_histories(histories, length))
    just = session_features(reading, catalogue.keys[rows])
    told = interest_features(interests, catalogue.retrieval[rows])
    return np.concatenate([near, just, told], 2)


def hours_of(shown: Impressions, places: Places) -> Vectors:
    """[E] hour of the day in [0, 24) where each user is."""
    hours = shown.time_ms / 3_600_000 + places.offsets_h[shown.user_rows]
    return np.asarray(hours % 24, np.float32)
