"""What a history says beside its items: how readily its user reacts, and what was just shown.

NumPy only, for training and serving alike. Letters beside the usual ones: P tasks, J of the newest
items.
"""

from collections.abc import Sequence

import numpy as np

from models.arrays import Rows, Vectors
from models.features import History
from models.ranking_features import (
    SESSION_S,
    TASK_ACTIONS,
    Rates,
    Reading,
    action_mask,
    rate_logits,
)
from models.ranking_items import (
    KEYS,
    Keys,
)
from models.tasks import TASKS

JUST = 16  # newest items that tire of their like
TIRES = [KEYS.index(key) for key in ("creator", "category", "branch")]
LASTING = 0.8  # of the weight of one item is left at the next
LAG_WEIGHTS = (LASTING ** np.arange(JUST)).astype(np.float32)
TASK_OF_CODE = np.stack([action_mask(TASK_ACTIONS[task]) for task in TASKS], 1) > 0


def habits(histories: Sequence[History]) -> Vectors:
    """[B, 1 + len(TASKS)] distinct items of whole histories, and how many had each reaction."""
    return np.array([_habit(history) for history in histories], np.float32).reshape(
        -1, 1 + len(TASKS)
    )


def _habit(history: History) -> Rows:
    rows, owner = np.unique(history.rows, return_inverse=True)
    event, task = np.nonzero(TASK_OF_CODE[history.actions])
    told = np.zeros((len(rows), len(TASKS)), bool)
    told[owner[event], task] = True
    return np.concatenate([[len(rows)], told.sum(0)])


def habit_features(counts: Vectors, rates: Rates, tasks: Sequence[int]) -> Vectors:
    """[B, P + 1] how readily users react against what is usual, and how much is known of them.

    Args:
        counts: [B, 1 + len(TASKS)] of `habits`.
        rates: what is usual. tasks: indices of the P tasks that the data have.
    """
    met, hits = counts[:, 0], counts[:, 1:][:, tasks]
    overall = rates.overall[list(tasks)]
    odds = rate_logits(hits, met, overall, rates.user_strength * overall)
    return np.concatenate([odds, np.log1p(met)[:, None]], 1, dtype=np.float32)


def session_weights(reading: Reading) -> Vectors:
    """[B, J] weight of each of the newest items: 0 before a pause of ``SESSION_S``, then by lag."""
    ages = reading.age_s[:, :JUST]
    gaps = np.diff(ages, axis=1, prepend=0.0)
    here = (reading.rows[:, :JUST] >= 0) & (gaps <= SESSION_S)
    inside = np.logical_and.accumulate(here, axis=1)
    return np.asarray(inside * LAG_WEIGHTS[: ages.shape[1]], np.float32)


def session_features(reading: Reading, keys: Keys) -> Vectors:
    """[B, K, 2 * len(TIRES)] how much of each candidate's like was just shown in this session.

    By creator, category and branch the weight of what matched; then for each of them 1 where
    nothing did although the session had begun.

    Args:
        reading: of the users' histories. keys: [B, K, len(KEYS)] of the candidates.
    """
    weights = session_weights(reading)
    own = keys[..., TIRES].swapaxes(1, 2)
    own = np.where(own == 0, np.int32(-1), own)
    newest = reading.keys[:, :JUST, TIRES].swapaxes(1, 2)
    same = (newest[..., None] == own[:, :, None]).astype(np.float32)
    tired = (weights[:, None, None] @ same)[:, :, 0]
    fresh = (tired == 0) & (weights[:, None, :1] > 0)
    return np.concatenate([tired, fresh], 1, dtype=np.float32).swapaxes(1, 2)
