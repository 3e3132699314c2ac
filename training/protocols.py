"""How a dataset is split to be judged: six protocols, each a pure function of log and seed.

A case is one user to be scored: what was known of them, what they went on to like, and what is left
out of the ranking because they have seen it already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Mask, Rows
from models.features import History
from training.log import (
    Log,
    Ragged,
    hashed_share,
    histories,
    items_by_user,
    ragged,
    select,
    user_offsets,
    without,
)

VALID_SHARE = TEST_SHARE = 0.1


@dataclass(frozen=True)
class Cases:
    """U users to be scored.

    Attributes:
        users: [U] user rows.
        histories: U histories, newest first.
        targets: U lists of items to be found.
        seen: U lists of items that are left out of the ranking.
        candidates: [N], the items that may be ranked, or None for all.
    """

    users: Rows
    histories: Sequence[History]
    targets: Ragged
    seen: Ragged
    candidates: Mask | None = None

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Split:
    """What may be learned from, what settings are chosen on, what is reported.

    Attributes:
        train: events to fit on while settings are chosen on `valid`.
        final: events to fit on once they are chosen; `test` is scored by that fit.
        valid, test: cases.
        cold: [N], items that no event of `train` or `final` touches, or None.
    """

    train: Log
    final: Log
    valid: Cases
    test: Cases
    cold: Mask | None = None


def cases(past: Log, future: Log, candidates: Mask | None = None) -> Cases:
    """Users of `future` with positive items there that they have not met in `past`."""
    positives = select(future, future.positive)
    users = np.unique(positives.user_rows)
    seen = items_by_user(past, users)
    targets = without(items_by_user(positives, users), seen)
    found = np.flatnonzero(np.diff(targets.offsets) > 0)
    return Cases(
        users[found],
        histories(past, users[found]),
        ragged([targets[int(u)] for u in found]),
        ragged([seen[int(u)] for u in found]),
        candidates,
    )


def unseen_users(log: Log, user_ids: Sequence[str], item_ids: Sequence[str], seed: int) -> Split:
    """Users in 80 % train, 10 % valid, 10 % test; a user held out is seen by nothing that fits."""
    share = hashed_share(user_ids, f"unseen-users:{seed}")[log.user_rows]
    test, valid = share < TEST_SHARE, (share >= TEST_SHARE) & (share < TEST_SHARE + VALID_SHARE)
    return Split(
        train=select(log, ~test & ~valid),
        final=select(log, ~test),
        valid=history_cases(select(log, valid)),
        test=history_cases(select(log, test)),
    )


def history_cases(log: Log) -> Cases:
    """Cases of whole users: the past is what the source calls history, else the first 80 %."""
    past = ~log.logged if (~log.logged).any() else _first_share(log, 0.8)
    return cases(select(log, past), select(log, ~past))


def _first_share(log: Log, share: float) -> Mask:
    offsets = user_offsets(log)
    rank = np.arange(len(log)) - offsets[log.user_rows]
    count = np.diff(offsets)[log.user_rows]
    first: Mask = rank < np.ceil(share * count)
    return first


def leave_last_out(log: Log, user_ids: Sequence[str], item_ids: Sequence[str], seed: int) -> Split:
    """Each user's last positive is tested and the one before it chosen on, of three or more."""
    from_end = np.where(log.positive, _positives_after(log), -1)
    enough = _positives_of(log)[log.user_rows] >= 3
    test, valid = (from_end == 0) & enough, (from_end == 1) & enough
    train = select(log, ~enough | (_positives_after(log) >= 2))
    known = select(log, ~enough | (_positives_after(log) >= 1))
    return Split(
        train=train,
        final=train,  # as published: the later events enter histories, not the fit
        valid=cases(train, select(log, valid)),
        test=cases(known, select(log, test)),
    )


def _positives_of(log: Log) -> Rows:
    return np.bincount(log.user_rows[log.positive], minlength=log.user_count).astype(np.int64)


def _positives_after(log: Log) -> Rows:
    """[E] the user's positives that come after each event."""
    total = _positives_of(log)
    through = np.cumsum(total)[log.user_rows]  # all positives of this user and those before
    after: Rows = through - np.cumsum(log.positive)
    return after


def time_split(log: Log, user_ids: Sequence[str], item_ids: Sequence[str], seed: int) -> Split:
    """The log cut at two moments into 80 %, 10 % and 10 %; histories before it are all known."""
    first, second = np.quantile(log.time_ms[log.logged], [1 - TEST_SHARE - VALID_SHARE, 0.9])
    past = ~log.logged | (log.time_ms <= first)
    known = ~log.logged | (log.time_ms <= second)
    return Split(
        train=select(log, past),
        final=select(log, known),
        valid=cases(select(log, past), select(log, known & ~past)),
        test=cases(select(log, known), select(log, ~known)),
    )


def before_log(log: Log, user_ids: Sequence[str], item_ids: Sequence[str], seed: int) -> Split:
    """What the source calls history, else the older half of the log; each user's last fifth of it
    is chosen on, what comes after is tested.

    A ranker may read vectors of such towers: they know nothing of how its impressions ended.
    """
    earlier = ~log.logged
    if not earlier.any():
        earlier = log.time_ms <= np.quantile(log.time_ms, 0.5)
    known = select(log, earlier)
    first = _first_share(known, 0.8)
    train = select(known, first)
    return Split(
        train=train,
        final=known,
        valid=cases(train, select(known, ~first)),
        test=cases(known, select(log, ~earlier)),
    )


def random_8_1_1(log: Log, user_ids: Sequence[str], item_ids: Sequence[str], seed: int) -> Split:
    """Each user's events at random in 8 : 1 : 1 (RecBole's split); histories keep their order."""
    order = np.lexsort((np.random.default_rng(seed).random(len(log)), log.user_rows))
    offsets = user_offsets(log)
    rank = np.empty(len(log), np.int64)
    rank[order] = np.arange(len(log))
    count = np.diff(offsets)[log.user_rows]
    place = rank - offsets[log.user_rows]
    tenth = np.maximum((count * TEST_SHARE).astype(np.int64), (count > 2).astype(np.int64))
    test, valid = place >= count - tenth, (place < count - tenth) & (place >= count - 2 * tenth)
    train = select(log, ~test & ~valid)
    known = select(log, ~test)
    return Split(
        train=train,
        final=train,  # as published: the later events enter histories, not the fit
        valid=cases(train, select(log, valid)),
        test=cases(known, select(log, test)),
    )


def cold_items(log: Log, user_ids: Sequence[str], item_ids: Sequence[str], seed: int) -> Split:
    """A tenth of the items is unknown to training; the test ranks these alone, for all users."""
    cold = hashed_share(item_ids, f"cold-items:{seed}") < TEST_SHARE
    warm_log = select(log, ~cold[log.item_rows])
    warm = unseen_users(warm_log, user_ids, item_ids, seed)
    past = ~log.logged if (~log.logged).any() else _first_share(log, 0.8)
    cold_future = ~past & cold[log.item_rows]
    warm_past = past & ~cold[log.item_rows]
    return Split(
        train=warm.train,
        final=warm_log,
        valid=warm.valid,
        test=cases(select(log, warm_past), select(log, cold_future), candidates=cold),
        cold=cold,
    )


def renumbered(split: Split, kept: Rows) -> Split:
    """The split's training parts in rows of the kept items alone; its test keeps the old rows."""
    rows = np.full(split.train.item_count, -1)
    rows[kept] = np.arange(len(kept))

    def of_log(log: Log) -> Log:
        return replace(log, item_rows=rows[log.item_rows], item_count=len(kept))

    def of_lists(lists: Ragged) -> Ragged:
        return Ragged(lists.offsets, rows[lists.values])

    valid = replace(
        split.valid,
        histories=[replace(h, rows=rows[h.rows]) for h in split.valid.histories],
        targets=of_lists(split.valid.targets),
        seen=of_lists(split.valid.seen),
    )
    return replace(split, train=of_log(split.train), final=of_log(split.final), valid=valid)


Protocol = Callable[[Log, Sequence[str], Sequence[str], int], Split]
PROTOCOLS: dict[str, Protocol] = {
    "unseen-users": unseen_users,
    "leave-last-out": leave_last_out,
    "time-split": time_split,
    "before-log": before_log,
    "random-8-1-1": random_8_1_1,
    "cold-items": cold_items,
}
