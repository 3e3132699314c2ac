"""LightGBM (Ke et al., 2017), one model a task, its settings chosen on validation impressions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np

from models.arrays import Mask, Vectors
from training.fit_ranker import RankerData
from training.metrics import Floats

ROUNDS, PATIENCE = 600, 40
FIXED = {
    "objective": "binary",
    "metric": "auc",
    "learning_rate": 0.05,
    "bagging_freq": 1,
    "bagging_fraction": 0.8,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
TRIED: tuple[dict[str, float], ...] = (
    {"num_leaves": 8, "min_data_in_leaf": 100, "feature_fraction": 0.5, "lambda_l2": 1.0},
    {"num_leaves": 15, "min_data_in_leaf": 100, "feature_fraction": 0.3, "lambda_l2": 10.0},
    {"num_leaves": 31, "min_data_in_leaf": 200, "feature_fraction": 0.3, "lambda_l2": 10.0},
    {"num_leaves": 63, "min_data_in_leaf": 400, "feature_fraction": 0.2, "lambda_l2": 30.0},
)


@dataclass(frozen=True)
class Trees:
    """A tuned model.

    Attributes:
        booster: fitted. settings: chosen, rounds among them. valid: what they were chosen by.
    """

    booster: lgb.Booster
    settings: dict[str, float]
    valid: float

    def scores(self, data: RankerData) -> Floats:
        """[E] probabilities."""
        return np.asarray(self.booster.predict(features(data)), np.float64)


def features(data: RankerData) -> Vectors:
    """[E, U + I + C], the same that the network reads."""
    return np.concatenate([data.user, data.items[data.item_rows], data.cross], 1)


def tuned_trees(
    data: RankerData,
    labels: Vectors,
    windows: tuple[Mask, Mask],
    judged: Callable[[lgb.Booster], float],
    seed: int,
) -> Trees:
    """Choose settings and rounds on the validation window and fit anew on both windows.

    Args:
        data: E impressions. labels: [E] 0 or 1.
        windows: train and valid, [E] each; the rounds are those of the best AUC on the latter.
        judged: what the settings are chosen by; higher is better.
        seed: of bagging.
    """
    train, valid = windows
    table = features(data)
    shared = lgb.Dataset(table[train], labels[train], params=FIXED, free_raw_data=False)
    check = lgb.Dataset(table[valid], labels[valid], reference=shared, free_raw_data=False)
    best: tuple[float, dict[str, float], int] = (-np.inf, {}, 1)
    for settings in TRIED:
        stop = lgb.early_stopping(PATIENCE, verbose=False)
        parameters: dict[str, Any] = FIXED | settings | {"seed": seed}
        model = lgb.train(parameters, shared, ROUNDS, valid_sets=[check], callbacks=[stop])
        if (value := judged(model)) > best[0]:
            best = value, settings, max(model.best_iteration, 1)
    value, settings, rounds = best
    known = train | valid
    parameters = FIXED | settings | {"seed": seed}
    booster = lgb.train(parameters, lgb.Dataset(table[known], labels[known]), rounds)
    return Trees(booster, settings | {"rounds": rounds}, value)
