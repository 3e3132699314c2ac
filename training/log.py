"""Interactions as arrays: what recipes, baselines and protocols compute on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from models.arrays import Mask, Rows, Vectors
from models.features import ACTION_CODES, ACTIONS, UNKNOWN_WATCH_RATIO, History, stable_hash
from training.datasets.interactions import Interactions


@dataclass(frozen=True)
class Log:
    """E events sorted by user and time, oldest first.

    Attributes:
        user_rows, item_rows, time_ms, actions: [E] int64. watch_ratio: [E].
        positive: [E], true where the event is of a kind to be predicted.
        logged: [E], true in the log proper, false in a history that may only be read.
        user_count, item_count: sizes that the rows index into.
    """

    user_rows: Rows
    item_rows: Rows
    time_ms: Rows
    actions: Rows
    watch_ratio: Vectors
    positive: Mask
    logged: Mask
    user_count: int
    item_count: int

    def __len__(self) -> int:
        return len(self.user_rows)


@dataclass(frozen=True)
class Ragged:
    """U sorted-by-owner lists in one array: list u is ``values[offsets[u]:offsets[u + 1]]``."""

    offsets: Rows
    values: Rows

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, u: int) -> Rows:
        return self.values[self.offsets[u] : self.offsets[u + 1]]


def encode(interactions: Interactions) -> Log:
    """Rows for ids, in the order of the items and users tables; codes for actions."""
    events = interactions.events
    types = events["type"].combine_chunks()
    codes = [ACTION_CODES[name] for name in ACTIONS]
    actions = np.asarray(codes)[_rows(types, pa.array(ACTIONS))]
    unsorted = Log(
        user_rows=_rows(events["user_id"], interactions.users["user_id"]),
        item_rows=_rows(events["item_id"], interactions.items["item_id"]),
        time_ms=events["time"].to_numpy().astype(np.int64),
        actions=actions,
        watch_ratio=_watch_ratios(events),
        positive=pc.is_in(types, value_set=pa.array(interactions.positives)).to_numpy(False),
        logged=pc.equal(events["split"], "log").to_numpy(),
        user_count=len(interactions.users),
        item_count=len(interactions.items),
    )
    return select(unsorted, np.lexsort((unsorted.time_ms, unsorted.user_rows)))


def _rows(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> Rows:
    if isinstance(known, pa.ChunkedArray):
        known = known.combine_chunks()
    found: Rows = np.asarray(pc.index_in(ids, value_set=known)).astype(np.int64)
    return found


def _watch_ratios(events: pa.Table) -> Vectors:
    watched = events["watch_ms"].to_numpy().astype(np.float32)
    duration = events["duration_ms"].to_numpy().astype(np.float32)
    known = np.isfinite(watched) & (duration > 0)
    ratio = np.divide(watched, duration, out=np.full_like(watched, np.nan), where=known)
    clipped: Vectors = np.where(known, np.minimum(ratio, 5.0), UNKNOWN_WATCH_RATIO)
    return clipped.astype(np.float32)


def select(log: Log, chosen: Mask | Rows) -> Log:
    """The events that a mask or an index picks."""
    return Log(
        log.user_rows[chosen],
        log.item_rows[chosen],
        log.time_ms[chosen],
        log.actions[chosen],
        log.watch_ratio[chosen],
        log.positive[chosen],
        log.logged[chosen],
        log.user_count,
        log.item_count,
    )


def user_offsets(log: Log) -> Rows:
    """[U + 1] offsets of each user's events."""
    return np.searchsorted(log.user_rows, np.arange(log.user_count + 1)).astype(np.int64)


def histories(log: Log, users: Rows, until_ms: Rows | None = None) -> list[History]:
    """The events of each user as a history, newest first.

    Args:
        log: of the events. users: [U] user rows.
        until_ms: [U] moments that ages count back from; each user's newest event if not given.
    """
    offsets = user_offsets(log)
    starts, ends = offsets[users], offsets[users + 1]
    if until_ms is None:
        until_ms = last_times(log)[users]
    bounds = zip(starts, ends, until_ms, strict=True)
    return [_history(log, start, end, until) for start, end, until in bounds]


def last_times(log: Log) -> Rows:
    """[user_count] time of each user's newest event; 0 for users without any."""
    times = np.zeros(log.user_count, np.int64)
    np.maximum.at(times, log.user_rows, log.time_ms)
    return times


def _history(log: Log, start: int, end: int, until_ms: int) -> History:
    own = slice(start, end)
    return History(
        log.item_rows[own][::-1],
        log.actions[own][::-1],
        log.watch_ratio[own][::-1],
        ((until_ms - log.time_ms[own][::-1]) / 1000).astype(np.float32),
    )


def items_by_user(log: Log, users: Rows) -> Ragged:
    """The distinct items of each user's events."""
    keys = np.unique(log.user_rows * log.item_count + log.item_rows)
    owners, items = np.divmod(keys, log.item_count)
    starts, ends = np.searchsorted(owners, users), np.searchsorted(owners, users, side="right")
    return ragged([items[start:end] for start, end in zip(starts, ends, strict=True)])


def ragged(lists: Sequence[Rows]) -> Ragged:
    """Pack lists of rows into one record."""
    offsets = np.cumsum([0, *(len(values) for values in lists)]).astype(np.int64)
    values = np.concatenate(lists) if lists else np.empty(0)
    return Ragged(offsets, values.astype(np.int64))


def without(lists: Ragged, removed: Ragged) -> Ragged:
    """Each list without the rows of the other."""
    kept = [np.setdiff1d(lists[u], removed[u]) for u in range(len(lists))]
    return ragged(kept)


def interaction_matrix(log: Log) -> sparse.csr_matrix:
    """Binary [users, items] matrix of the positive events."""
    chosen = select(log, log.positive)
    shape = (log.user_count, log.item_count)
    ones = np.ones(len(chosen), np.float32)
    matrix = sparse.csr_matrix((ones, (chosen.user_rows, chosen.item_rows)), shape=shape)
    matrix.data[:] = 1.0
    return matrix


def hashed_share(names: Sequence[str], salt: str) -> NDArray[np.float64]:
    """A stable pseudo-random number in [0, 1) for each name: splits that no order can change."""
    return np.array([stable_hash(f"{salt}:{name}") / 2.0**64 for name in names])
