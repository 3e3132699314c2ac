"""Distillation (Hinton et al., 2015): one small network learns what a large ensemble says.

The teacher is boosted trees and a bag of networks in equal parts, which is better than either and
too slow to be served. Of the labelled impressions alone a student comes out as good as the bag; it
is therefore also asked about pairs of users and items that were never shown, for which the teacher
needs no label.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightgbm as lgb
import numpy as np
from scipy.special import expit, logit

from configs.ranking import DistilSection, RankerConfig
from models.arrays import Mask, Rows
from models.ranker import RankerNetwork
from training.fit_ranker import RankerData, fit_ranker, logits
from training.tree_baseline import FIXED, PATIENCE, ROUNDS, TRIED, features

SETTINGS: dict[str, Any] = FIXED | TRIED[1]  # chosen by every validation window so far
TREES_SHARE = 0.5
LEAST, MOST = 1e-6, 1 - 1e-6
Trees = Sequence[lgb.Booster | None]


@dataclass(frozen=True)
class Lessons:
    """What a ranker learns from.

    Attributes:
        shown: E impressions with what followed.
        unshown: A pairs whose labels mean nothing.
        owners: [A] impression whose user and moment each of these has.
    """

    shown: RankerData
    unshown: RankerData
    owners: Rows

    def take(self, chosen: Mask) -> "Lessons":
        """The chosen impressions [E] with their pairs."""
        kept = np.flatnonzero(chosen[self.owners])
        place = np.cumsum(chosen) - 1
        return Lessons(self.shown.take(chosen), self.unshown.take(kept), place[self.owners[kept]])


@dataclass(frozen=True)
class Teacher:
    """Fitted trees of each task, None for rare ones, and a bag of networks."""

    trees: Trees
    network: RankerNetwork

    def answers(self, data: RankerData) -> RankerData:
        """The pairs with what the teacher says in place of labels and watch ratios."""
        said, table = logits(self.network, data), features(data)
        for task, booster in enumerate(self.trees):
            if booster is not None:
                by_trees = np.clip(np.asarray(booster.predict(table)), LEAST, MOST)
                said[:, task] += TREES_SHARE * (logit(by_trees) - said[:, task])
        labels = np.asarray(expit(said[:, :-1]), np.float32)
        return replace(data, labels=labels, watch_ratio=np.maximum(said[:, -1], 0))


def fit_distilled(lessons: Lessons, config: RankerConfig, trees: Trees, seed: int) -> RankerNetwork:
    """Fit the network that is served; without a teacher where none is asked for.

    Args:
        lessons: to learn from. config: settings.
        trees: fitted to the same impressions. seed: of the networks.
    """
    shown = lessons.shown
    if config.distil.pairs:
        network = fit_ranker(shown, config.distil.network, config.distil.fit, seed + 1)
        shown = joined(shown, Teacher(trees, network).answers(lessons.unshown))
    return fit_ranker(shown, config.network, config.fit, seed)


def first_trees(data: RankerData, first: Mask, section: DistilSection, seed: int) -> Trees:
    """Trees of each task fitted on the first impressions, with the rounds that the rest prefers.

    Args:
        data: E impressions. first: [E] those that are fitted on.
        section: settings; without a teacher there are no trees. seed: of bagging.
    """
    table = features(data) if section.pairs else data.user
    found: list[lgb.Booster | None] = []
    for labels in np.ascontiguousarray(data.labels.T):
        if not section.pairs or labels[first].sum() < section.least_reactions:
            found.append(None)
            continue
        fitted = lgb.Dataset(table[first], labels[first])
        rest = lgb.Dataset(table[~first], labels[~first], reference=fitted)
        stop = lgb.early_stopping(PATIENCE, verbose=False)
        parameters = SETTINGS | {"seed": seed}
        found.append(lgb.train(parameters, fitted, ROUNDS, valid_sets=[rest], callbacks=[stop]))
    return found


def refitted(trees: Trees, data: RankerData, seed: int) -> Trees:
    """Trees with as many rounds, fitted to all impressions."""
    table = features(data) if any(trees) else data.user
    return [
        first and lgb.train(SETTINGS | {"seed": seed}, lgb.Dataset(table, labels), rounds_of(first))
        for first, labels in zip(trees, np.ascontiguousarray(data.labels.T), strict=True)
    ]


def rounds_of(booster: lgb.Booster | None) -> int:
    """Rounds that were best, 0 without trees."""
    return 0 if booster is None else max(booster.best_iteration, 1)


def joined(first: RankerData, second: RankerData) -> RankerData:
    """The impressions of both, which look up the same items."""
    return RankerData(
        np.concatenate([first.user, second.user]),
        np.concatenate([first.cross, second.cross]),
        first.items,
        np.concatenate([first.item_rows, second.item_rows]),
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.watch_ratio, second.watch_ratio]),
    )
