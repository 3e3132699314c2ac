"""Users as padded tensors, and the random split of each into what is read and what is predicted."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.arrays import Rows
from models.features import UNKNOWN_WATCH_RATIO, History, distinct
from training.log import Log, histories, last_times, select

LOGGED_LENGTH = 40  # newest log events a user brings beside the history
READS_LOG_SHARE = 0.4


@dataclass(frozen=True)
class Examples:
    """U users with T events each, newest first, padded with row -1.

    Attributes:
        rows, actions: [U, T] int64. watch_ratio: [U, T].
        age_s: [U, T] seconds before the user's newest event.
        logged: [U, T], true for events of the log. positive: [U, T].
    """

    rows: Tensor
    actions: Tensor
    watch_ratio: Tensor
    age_s: Tensor
    logged: Tensor
    positive: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, users: Tensor) -> "Examples":
        """The given users."""
        return Examples(
            self.rows[users],
            self.actions[users],
            self.watch_ratio[users],
            self.age_s[users],
            self.logged[users],
            self.positive[users],
        )


@dataclass(frozen=True)
class Draw:
    """What a step reads of each user, and what it predicts.

    Attributes:
        read: [B, T], true where the user tower sees the event.
        future: [B, T] weights of positives to come. other: [B, T] weights of all else held out.
    """

    read: Tensor
    future: Tensor
    other: Tensor


def examples(log: Log, history_length: int) -> Examples:
    """Every user of the log with at least two distinct items.

    Where the source has histories, a user brings at most ``LOGGED_LENGTH`` events of the log and
    `history_length` of the history; otherwise `history_length` events of the log.
    """
    users = np.unique(log.user_rows)
    until_ms = last_times(log)[users]
    past = histories(select(log, ~log.logged), users, until_ms)
    logged = histories(select(log, log.logged), users, until_ms)
    has_past = any(len(history) for history in past)
    logged_length = LOGGED_LENGTH if has_past else history_length
    packed = _empty(len(users), history_length + (LOGGED_LENGTH if has_past else 0))
    for u, (old, new) in enumerate(zip(map(distinct, past), map(distinct, logged), strict=True)):
        fresh = np.flatnonzero(~np.isin(new.rows, old.rows))[:logged_length]
        packed.logged[u, : len(fresh)] = True
        _write(packed, u, 0, new, fresh)
        _write(packed, u, len(fresh), old, np.arange(min(len(old), history_length)))
    codes = torch.from_numpy(np.unique(log.actions[log.positive]))
    packed.positive.copy_(torch.isin(packed.actions, codes))
    return packed.take(torch.nonzero((packed.rows >= 0).sum(1) >= 2).squeeze(1))


def _empty(users: int, length: int) -> Examples:
    shape = (users, length)
    return Examples(
        torch.full(shape, -1),
        torch.zeros(shape, dtype=torch.long),
        torch.full(shape, UNKNOWN_WATCH_RATIO),
        torch.zeros(shape),
        torch.zeros(shape, dtype=torch.bool),
        torch.zeros(shape, dtype=torch.bool),
    )


def _write(packed: Examples, u: int, start: int, history: History, chosen: Rows) -> None:
    own = slice(start, start + len(chosen))
    packed.rows[u, own] = torch.from_numpy(history.rows[chosen])
    packed.actions[u, own] = torch.from_numpy(history.actions[chosen])
    packed.watch_ratio[u, own] = torch.from_numpy(history.watch_ratio[chosen])
    packed.age_s[u, own] = torch.from_numpy(history.age_s[chosen])


def draw_completion(
    batch: Examples, read_share: tuple[float, float], generator: torch.Generator
) -> Draw:
    """Read a random share of each user's events and predict the rest, in any order.

    Log events are predicted as the future; where there is a history too, they are read by two
    users in five only.

    Args:
        batch: B users.
        read_share: the share is drawn evenly between these, per user.
        generator: of the draw.
    """
    low, high = read_share
    present = batch.rows >= 0
    share = low + (high - low) * torch.rand(len(batch), 1, generator=generator)
    read = (torch.rand(batch.rows.shape, generator=generator) < share) & present
    if not batch.logged[present].all():
        reads_log = torch.rand(len(batch), 1, generator=generator) < READS_LOG_SHARE
        read &= ~batch.logged | reads_log
    held_out = present & ~read
    future = held_out & batch.logged & batch.positive
    return Draw(read, future.float(), (held_out & ~future).float())


def draw_next(batch: Examples, window: int, generator: torch.Generator) -> Draw:
    """Read what lies before a random moment and predict the next `window` positives after it."""
    present = batch.rows >= 0
    count = present.sum(1, keepdim=True)
    moment = (torch.rand(len(batch), 1, generator=generator) * (count - 1)).long()
    place = torch.arange(batch.rows.shape[1])
    read = present & (place > moment)
    coming = present & (place <= moment) & batch.positive
    distance = coming.flip(1).cumsum(1).flip(1)
    future = coming & (distance <= window)
    return Draw(read, future / distance.clamp(min=1), torch.zeros(batch.rows.shape))
