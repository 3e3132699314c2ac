"""A ranker of random weights for bundles that were never trained: its shape is the default one."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from configs.ranking import NetworkSection
from embeddings.feed_model import load_feed_model, published_ms
from models.bundle import Manifest
from models.features import empty_history
from models.ranker import Calibration, RankerNetwork, RankerShape
from models.ranking_behaviour import habit_features, habits, session_features
from models.ranking_features import (
    Counts,
    ItemCounters,
    Rates,
    affinity_features,
    counter_features,
    interest_features,
    read,
    user_features,
)
from models.ranking_items import (
    KEYS,
)
from models.tasks import TASKS
from training.log import Log
from training.pack_ranker import Fitted, pack_ranker
from training.ranking_arrays import catalogue_of

TOLD = ("long_view", "click", "like", "comment", "negative")


def add_ranker(source: Path, out: Path, seed: int = 0) -> Manifest:
    """Write the bundle in `source` anew to `out`, with a ranker that knows the tasks `TOLD`."""
    model = load_feed_model(source)
    n = len(model.vocabulary)
    catalogue = catalogue_of(model, nobody(n))
    user, cross = widths(model.retrieval_vectors.shape[1], model.history_table.shape[1])
    section = NetworkSection()
    shape = RankerShape(
        user=user,
        item=catalogue.block.shape[1],
        cross=cross,
        tasks=len(TOLD),
        seeds=section.seeds,
        hidden=section.hidden,
        width=section.width,
    )
    torch.manual_seed(seed)
    network = RankerNetwork(shape, section.dropout).eval()
    for weight in (network.user.weight, network.item.weight, network.cross.weight):
        nn.init.normal_(weight, std=0.05)
    ones, zeros = (1.0,) * len(TOLD), (0.0,) * len(TOLD)
    nothing = np.zeros((n, 1 + len(TASKS)), np.float32)
    base = ItemCounters(nothing[:, 0], nothing[:, 1:], published_ms(model.items))
    fitted = Fitted(network, Calibration(ones, ones, zeros, zeros), usual(), TOLD, (), 0, 0)
    return pack_ranker(fitted, catalogue, base, model, source, out)[0]


def nobody(items: int) -> Log:
    """A log without events."""
    rows, flags = np.empty(0, np.int64), np.empty(0, bool)
    return Log(rows, rows, rows, rows, np.empty(0, np.float32), flags, flags, 0, items)


def usual() -> Rates:
    """One reaction in five, whatever the task."""
    return Rates(np.full(len(TASKS), 0.2, np.float32), 100.0)


def widths(retrieval: int, history: int) -> tuple[int, int]:
    """U and C of a model with these dimensions and no regions."""
    reading = read(
        [empty_history()], np.zeros((1, len(KEYS)), np.int32), np.zeros((1, history), np.float32)
    )
    one = np.zeros((1, 1), np.int64)
    user = user_features(reading, np.zeros(1, np.float32), one[0], 0)
    keys, vectors = np.zeros((1, 1, len(KEYS)), np.int32), np.zeros((1, 1, history), np.float32)
    cross = [
        affinity_features(reading, one, keys, vectors),
        session_features(reading, keys),
        interest_features(
            np.zeros((1, 1, retrieval), np.float32), np.zeros((1, 1, retrieval), np.float32)
        ),
    ]
    tasks = [TASKS.index(task) for task in TOLD]
    none, no_tasks = np.zeros(1, np.float32), np.zeros((1, len(TASKS)), np.float32)
    counted = counter_features(Counts(none, no_tasks, none, none, no_tasks), usual(), tasks)
    habits_told = habit_features(habits([empty_history()]), usual(), tasks)
    return user.shape[1] + habits_told.shape[1], sum(
        part.shape[2] for part in cross
    ) + counted.shape[1]
