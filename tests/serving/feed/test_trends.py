"""Counts in buckets -> heat and totals."""

import numpy as np
import pytest

from models.ranking_features import ItemCounters
from models.tasks import TASKS
from serving.feed.shelf import make_shelf
from serving.feed.signals import SignalBoard
from serving.feed.trends import Tally, hottest_rows, summed
from tests.item_table import item_table

BUCKET_MS = 300_000


def rows_of(item_ids: list[str]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array([int(one[1:]) if one[1:].isdigit() else -1 for one in item_ids], np.int64)


def test_what_is_hotter_than_usual_leads_not_what_is_always_hot() -> None:
    tally = Tally(BUCKET_MS)
    for _ in range(144):  # half a day
        tally.fold({"like:CN:i0": 40, "like:CN:i1": 1})
    for _ in range(3):
        tally.fold({"like:CN:i0": 40, "like:CN:i1": 30, "like:US:i2": 30, "skip:US:i3": 500})
    counted = tally.counted({"like:US:i2": 5})
    hot = hottest_rows(counted, rows_of(list(counted.item_ids)))
    assert hot["CN"].tolist()[0] == 1
    assert hot["US"].tolist() == [2]
    assert hot[""].tolist()[:2] in ([1, 2], [2, 1])
    heat = dict(zip(counted.item_ids, counted.heat.tolist(), strict=True))
    assert heat["i1"] > 3 * max(heat["i0"], 0.1)
    assert heat["i3"] == -np.inf


def test_a_trend_passes_and_the_filling_bucket_is_not_taken_in() -> None:
    tally = Tally(BUCKET_MS)
    for _ in range(12):
        tally.fold({})
    tally.fold({"share:CN:i0": 50})
    assert tally.counted({"share:CN:i1": 50}).heat[1] > 0
    before = tally.counted({}).heat[0]
    for _ in range(24):
        tally.fold({})
    assert tally.counted({}).heat[0] < before / 2


def test_totals_follow_the_tasks_and_join_the_regions() -> None:
    tally = Tally(BUCKET_MS)
    tally.fold({"impression:CN:i1": 10, "complete:CN:i1": 2, "like:*:i1": 1, "unlike:*:i1": 9})
    tally.fold({"impression:US:i1": 5, "play:CN:i:2": 1, "share:CN:gone": 1})
    counted = tally.counted({"long_view:CN:i1": 1})
    assert "i:2" in counted.item_ids
    impressions, reactions = summed(counted, rows_of(list(counted.item_ids)), 3)
    assert impressions.tolist() == [0, 15, 0]
    told = dict(zip(TASKS, reactions[1].tolist(), strict=True))
    assert (told["long_view"], told["click"], told["like"], told["negative"]) == (3, 3, 1, 0)


def test_many_items_find_room() -> None:
    tally = Tally(BUCKET_MS)
    tally.fold({f"like:CN:i{n}": n for n in range(1_000)})
    tally.fold({f"like:CN:i{n}": 1 for n in range(1_500)})
    counted = tally.counted({})
    assert counted.totals[:, 1 + TASKS.index("like")].sum() == 999 * 500 + 1_500


def test_the_board_adds_to_what_was_counted_before_and_grows() -> None:
    shelf = make_shelf(item_table([{}] * 2), np.zeros(2, np.float32))
    base = ItemCounters(
        np.array([7, 8], np.float32), np.ones((2, len(TASKS)), np.float32), np.zeros(2, np.int64)
    )
    board = SignalBoard(shelf.facts, base)
    assert board.counters.impressions.tolist() == [7, 8]
    shelf.facts.put(2, {})
    assert board.counters.impressions.tolist() == [7, 8, 0]
    board.show(np.array([1], np.float32), np.ones((1, len(TASKS)), np.float32), {})
    assert board.counters.impressions.tolist() == [8, 8, 0]
    assert board.counters.reactions[:, 0].tolist() == [2, 1, 0]
    shelf.facts.put(3, {})
    assert board.counters.impressions.tolist() == pytest.approx([8, 8, 0, 0])
