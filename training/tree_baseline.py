"""LightGBM (Ke et al., 2017), one model a task, its settings chosen on validation impressions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np

from models.arrays import Mask, Vectors
from training.fit_ranker import RankerData

ROUNDS, PATIENCE = 800, 40
FIXED = {
    "objective": "binary",
    "metric": "auc",
    "learning_rate": 0.04,
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
Metric = Callable[[Vectors, Mask], float]


@dataclass(frozen=True)
class Trees:
    """A tuned model's answer.

    Attributes:
        probabilities: [E] of the impressions asked for. settings: chosen, rounds among them.
        valid: what they were chosen by.
    """

    probabilities: Vectors
    settings: dict[str, float]
    valid: float


def features(data: RankerData) -> Vectors:
    """[E, U + I + C], the same that the network reads."""
    return np.concatenate([data.user, data.items[data.item_rows], data.cross], 1)


def tuned_trees(
    table: Vectors,
    labels: Vectors,
    windows: Sequence[Mask],
    metric: Metric,
    seed: int,
) -> Trees:
    """Choose settings and rounds on the validation window, fit anew on both, score the test.

    Args:
        table: [E, F] of `features`. labels: [E] 0 or 1.
        windows: train, valid and test, [E] each.
        metric: of scores [V] of the impressions in a mask [E]; higher is better.
        seed: of bagging.
    """
    train, valid, test = windows
    best: tuple[float, dict[str, float]] = (-np.inf, {})
    shared = lgb.Dataset(table[train], labels[train], params=FIXED, free_raw_data=False)
    check = lgb.Dataset(table[valid], labels[valid], reference=shared, free_raw_data=False)
    for settings in TRIED:
        stop = lgb.early_stopping(PATIENCE, verbose=False)
        parameters: dict[str, Any] = FIXED | settings | {"seed": seed}
        model = lgb.train(parameters, shared, ROUNDS, valid_sets=[check], callbacks=[stop])
        value = metric(np.asarray(model.predict(table[valid])), valid)
        if value > best[0]:
            best = value, settings | {"rounds": model.best_iteration}
    value, chosen = best
    known = train | valid
    fitted = lgb.train(
        FIXED | {name: of for name, of in chosen.items() if name != "rounds"} | {"seed": seed},
        lgb.Dataset(table[known], labels[known]),
        int(chosen["rounds"]),
    )
    return Trees(np.asarray(fitted.predict(table[test])), chosen, value)
