"""What stands in the ranker's training data, and that none of it comes from the future."""

import numpy as np
import pytest

from models.features import ACTION_CODES, UNKNOWN_WATCH_RATIO
from models.tasks import TASKS
from training.log import Log
from training.ranking_examples import (
    counts_before,
    impressions_of,
    past_of,
    sums_before,
)

HOUR_MS = 3_600_000
LONG_VIEW, LIKE = TASKS.index("long_view"), TASKS.index("like")


def log_of(*events: tuple[int, int, int, str], history: int = 0) -> Log:
    """Events (user, item, time, type); the first `history` of them only to be read."""
    users, items, times, types = zip(*events, strict=True)
    order = np.lexsort((np.array(times), np.array(users)))
    count = len(events)
    return Log(
        np.array(users)[order],
        np.array(items)[order],
        np.array(times)[order],
        np.array([ACTION_CODES[name] for name in types])[order],
        np.full(count, UNKNOWN_WATCH_RATIO, np.float32),
        np.zeros(count, bool),
        (np.arange(count) >= history)[order],
        max(users) + 1,
        max(items) + 1,
    )


def test_a_reaction_belongs_to_the_latest_impression_of_its_user_and_item() -> None:
    shown = impressions_of(
        log_of(
            (0, 0, 10, "impression"),
            (0, 0, 20, "impression"),
            (0, 0, 25, "like"),
            (0, 1, 5, "like"),
            (1, 0, 12, "impression"),
            (1, 0, 12, "long_view"),
            (1, 0, 13 + 24 * HOUR_MS, "like"),
        )
    )
    assert shown.time_ms.tolist() == [10, 12, 20]
    assert shown.labels[:, LIKE].tolist() == [0, 0, 1]
    assert shown.labels[:, LONG_VIEW].tolist() == [0, 1, 0]
    assert shown.repeated.tolist() == [False, False, True]


def test_a_log_without_impressions_is_refused() -> None:
    with pytest.raises(ValueError, match="no event of type impression"):
        impressions_of(log_of((0, 0, 1, "play")))


def test_an_item_met_in_the_history_is_a_repetition() -> None:
    shown = impressions_of(
        log_of((0, 0, 1, "long_view"), (0, 0, 9, "impression"), (0, 1, 9, "impression"), history=1)
    )
    assert dict(zip(shown.item_rows.tolist(), shown.repeated.tolist(), strict=True)) == {
        0: True,
        1: False,
    }


def test_counters_hold_only_what_was_strictly_earlier() -> None:
    shown = impressions_of(
        log_of(
            (0, 0, 10, "impression"),
            (0, 0, 10, "long_view"),
            (1, 0, 20, "impression"),
            (2, 0, 20, "impression"),
            (2, 0, 20, "long_view"),
            (3, 0, 30, "impression"),
            (3, 1, 40, "impression"),
        )
    )
    creators = np.array([7, 7], np.int32)
    counts = counts_before(shown, creators, np.array([0, 4]))
    assert counts.impressions.tolist() == [0, 1, 1, 3, 0]
    assert counts.reactions[:, LONG_VIEW].tolist() == [0, 1, 1, 2, 0]
    assert counts.creator_impressions.tolist() == [0, 1, 1, 3, 4]
    assert np.isnan(counts.age_h[0])
    assert counts.age_h[-1] * HOUR_MS == pytest.approx(36)
    unknown = counts_before(shown, np.array([0, 0], np.int32), np.array([0, 0]))
    assert not unknown.creator_impressions.any()


def test_sums_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    events = [
        (int(u), int(i), int(t), "impression")
        for u, i, t in zip(
            random.integers(0, 9, 300),
            random.integers(0, 5, 300),
            random.integers(0, 40, 300),
            strict=True,
        )
    ]
    shown = impressions_of(log_of(*events))
    _, impressions = sums_before(shown.item_rows, shown)
    for e in range(len(shown)):
        same = (shown.item_rows == shown.item_rows[e]) & (shown.time_ms < shown.time_ms[e])
        assert impressions[e] == same.sum()


def test_a_history_ends_before_its_moment_and_may_leave_out_impressions() -> None:
    log = log_of(
        (0, 0, 10, "impression"), (0, 1, 20, "play"), (0, 2, 30, "like"), (1, 3, 5, "like")
    )
    everything = past_of(log, 10, reads_impressions=True)
    assert everything.before(0, 30).rows.tolist() == [1, 0]
    assert everything.before(0, 31).rows.tolist() == [2, 1, 0]
    assert everything.before(0, 30).age_s.tolist() == pytest.approx([0.01, 0.02])
    assert past_of(log, 1, reads_impressions=True).before(0, 31).rows.tolist() == [2]
    assert past_of(log, 10, reads_impressions=False).before(0, 30).rows.tolist() == [1]
