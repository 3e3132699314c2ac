"""The benchmark of minors finds nothing where the filters stand, and much where they do not."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from serving.feed_bundle import load_bundle
from tests.benchmarks.minors import RULES, Counts, ask, catalogue, clock_changes
from tests.feed_bundles import make_feed_bundle


def test_filters_hold_and_their_absence_is_noticed(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    items = catalogue(random)
    make_feed_bundle(tmp_path / "made", items, 3)
    engine = load_bundle(tmp_path / "made", RULES).engine
    by_id = {item["item_id"]: item for item in items}
    kept, broken = Counts(), Counts()
    for _ in range(150):
        ask(engine, by_id, random, kept)
        ask(replace(engine, filters=()), by_id, random, broken)
    assert (kept.requests, kept.violations) == (150, [])
    assert min(kept.closed, kept.open_commerce, kept.adult_shown) > 0
    assert len(broken.violations) > 50


def test_clocks_change_twice_a_year_where_they_do() -> None:
    assert [len(clock_changes(zone)) for zone in ("Asia/Shanghai", "Europe/Berlin")] == [0, 2]
