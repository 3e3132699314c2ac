import json
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from configs.load import ConfigError
from models.arrays import Rows
from tests.training.simulated import small_world
from training.datasets import simulator
from training.datasets.interactions import EVENTS, Interactions, checked
from training.datasets.simulator import (
    START_MS,
    LoggingPolicy,
    Page,
    World,
    draw_world,
    fresh_memory,
    load,
    new_items,
    respond,
    sample_log,
    values,
)
from training.datasets.world.log import LOGGED, eligible, filled, known_affinities, simulate_pages
from training.datasets.world.marginals import bars, comparison, gini, marginals, simulated_views
from training.datasets.world.parameters import ranges
from training.log import encode, select

ROOT = Path(__file__).parents[2]
POLICY = LoggingPolicy(recorded_share=0.4)
DAYS = 3
USERS, TIMES = np.arange(300), np.full(300, START_MS)


@cache
def small_log(seed: int = 0) -> Interactions:
    return sample_log(small_world(seed), DAYS, POLICY, np.random.default_rng(seed))


def pages() -> list[Page]:
    world = small_world()
    return list(simulate_pages(world, 1, POLICY, np.random.default_rng(5), fresh_memory(world)))


def test_the_log_keeps_the_contract() -> None:
    log, world = small_log(), small_world()
    assert log.events.schema == EVENTS
    assert checked(log).events.equals(log.events)
    assert set(log.events["type"].to_pylist()) <= {"impression", *LOGGED}
    times = log.events["time"].to_numpy()
    assert times.min() >= world.start_ms - DAYS * 86_400_000
    assert times.max() < world.start_ms + 6 * 3_600_000
    assert log.positives == ("long_view",)


def test_same_seed_logs_the_same_bytes() -> None:
    first, again, other = (
        sample_log(small_world(), 1, POLICY, np.random.default_rng(seed)) for seed in (0, 0, 9)
    )
    assert first.events.equals(again.events)
    assert not first.events.equals(other.events)


@pytest.mark.parametrize("seed", range(6))
def test_the_smallest_worlds_log_what_little_there_is(seed: int) -> None:
    world = draw_world(seed, users=1, items=1)
    log = sample_log(world, 1, LoggingPolicy(recorded_share=0.1), np.random.default_rng(seed))
    assert log.events.schema == EVENTS
    assert len(log.items) == len(log.users) == 1


def test_every_reaction_joins_exactly_one_impression() -> None:
    events = small_log().events
    keys = [pc.cast(events[name], pa.string()) for name in ("user_id", "item_id", "time")]
    joined = pc.binary_join_element_wise(*keys, "|")
    shown = joined.filter(pc.equal(events["type"], "impression"))
    assert len(pc.unique(shown)) == len(shown)
    assert pc.all(pc.is_in(joined, value_set=shown.combine_chunks())).as_py()


def test_nobody_is_shown_what_is_not_for_them() -> None:
    world = small_world()
    adult_shown = 0
    for page in pages():
        known = page.item_rows >= 0
        rows, users = page.item_rows[known], np.nonzero(known)[0]
        owners = page.user_rows[users]
        assert world.user_traits.markets[owners, world.item_traits.language[rows]].all()
        assert (world.item_traits.published_ms[rows] <= page.time_ms.max()).all()
        assert not (world.item_traits.adult[rows] & ~world.user_traits.adult[owners]).any()
        adult_shown += int(world.item_traits.adult[rows].sum())
        for row in page.item_rows:
            assert len(set(row[row >= 0])) == (row >= 0).sum()
    assert adult_shown > 0


def test_unknown_age_and_minors_are_not_known_adults() -> None:
    world = small_world()
    years = world.users["birth_year"].to_pylist()
    for year, adult in zip(years, world.user_traits.adult, strict=True):
        assert adult == (year is not None and 2026 - year > 18)


def test_what_was_seen_is_not_eligible() -> None:
    world, memory = small_world(), fresh_memory(small_world())
    rows = np.array([0, 1])
    before = eligible(world, rows, world.start_ms, memory)
    seen = np.flatnonzero(before[0])[:2]
    memory.items[0, -2:] = seen
    after = eligible(world, rows, world.start_ms, memory)
    assert not after[0, seen].any()
    assert (after[1] == before[1]).all()


def test_pages_take_the_next_unused_item_of_each_source() -> None:
    lists = np.array([[[1, 2, 3, 4]], [[2, 1, 5, -1]]])
    assert filled(lists, np.array([[0, 1, 1, 1]])).tolist() == [[1, 2, 5, -1]]


@pytest.mark.parametrize("seed", [0, 1])
def test_marginals_stay_within_wide_ranges_on_a_small_world(seed: int) -> None:
    found = marginals(simulated_views(small_log(seed)))
    limits = {
        "long_view_rate": (0.2, 0.46),
        "play_rate": (0.3, 0.62),
        "complete_rate": (0.08, 0.26),
        "skip_rate": (0.22, 0.48),
        "like_rate": (0.006, 0.05),
        "comment_rate": (0.0002, 0.012),
        "watch_ratio_p50": (0.04, 0.2),
        "history_p50": (20, 120),
        "item_gini": (0.4, 0.85),
    }
    for name, (low, high) in limits.items():
        assert low <= found[name] <= high, (name, found[name])


def test_gini_of_known_counts() -> None:
    assert gini(np.array([5, 5, 5, 5])) == pytest.approx(0.0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)


def test_bars_name_what_is_far() -> None:
    real = marginals(simulated_views(small_log()))
    assert all(bars(real, real, 0.0).values())
    far = bars(real | {"like_rate": real["like_rate"] * 2}, real, 0.2)
    failed = [words for words, held in far.items() if not held]
    assert len(failed) == 2
    assert "like_rate" in " ".join(failed)


def test_a_few_dozen_events_tell_what_a_user_stays_with() -> None:
    """At random pages, leaves viewed long before are viewed long far more often than others."""
    world = small_world()
    liked = np.zeros((300, world.item_traits.leaf.max() + 1))
    log = encode(small_log())
    past = select(log, log.positive)
    np.add.at(liked, (past.user_rows, world.item_traits.leaf[past.item_rows]), 1)
    market = world.user_traits.markets[:, world.item_traits.language]
    shown = np.where(market, np.arange(400), -1)
    told = respond(
        world, USERS, shuffled(shown), TIMES, np.random.default_rng(3), fresh_memory(world)
    )
    known = liked[USERS[:, None], world.item_traits.leaf[shuffled(shown)]] >= 3
    viewed = told.reactions["long_view"]
    rate_known = viewed[told.examined & known].mean()
    rate_other = viewed[told.examined & ~known].mean()
    assert rate_known > 1.5 * rate_other


def shuffled(rows: Rows) -> Rows:
    """Each user's allowed items in a random order, the first 40 of them."""
    order = np.random.default_rng(8).random(rows.shape) + (rows < 0)
    return np.take_along_axis(rows, np.argsort(order, axis=1), axis=1)[:, :40]


def session_value(world: World, interested: bool) -> float:
    memory = fresh_memory(world)
    allowed = eligible(world, USERS, world.start_ms, memory)
    popular = np.broadcast_to(world.item_traits.reach, allowed.shape)
    scores = known_affinities(world, USERS, TIMES, memory) if interested else popular
    page = np.argsort(np.where(allowed, -scores, np.inf), axis=1)[:, :10]
    rng = np.random.default_rng(1)
    return float(values(respond(world, USERS, page, TIMES, rng, memory)).sum())


@pytest.mark.parametrize("seed", range(3))
def test_feeds_of_interest_are_worth_more_than_popular_ones(seed: int) -> None:
    world = small_world(seed)
    assert session_value(world, interested=True) > 1.1 * session_value(world, interested=False)


def test_new_items_can_be_responded_to() -> None:
    world = new_items(small_world(), 20, small_world().start_ms, np.random.default_rng(0))
    page = np.tile(np.arange(400, 420), (300, 1))
    times = np.full(300, world.start_ms)
    told = respond(
        world, np.arange(300), page, times, np.random.default_rng(0), fresh_memory(world)
    )
    assert told.reactions["long_view"].any()


def test_load_reads_the_shipped_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE__WORLD__USERS", "40")
    monkeypatch.setenv("TIDEGATE__WORLD__ITEMS", "60")
    log = load(ROOT / "configs" / "simulator.yaml", seed=3)
    assert len(log.users) == 40
    assert len(log.items) == 60
    assert len(log.events) > 0


def test_the_shipped_settings_are_the_defaults() -> None:
    shipped = simulator.settings_at(ROOT / "configs" / "simulator.yaml")
    assert shipped == simulator.settings_at(None)


def test_bad_settings_are_refused_with_file_key_and_limit(tmp_path: Path) -> None:
    path = tmp_path / "simulator.yaml"
    path.write_text("log:\n  interest: 0.8\n  popular: 0.4\n")
    with pytest.raises(ConfigError, match=r"simulator\.yaml: log .*must not exceed 1"):
        load(path)
    path.write_text("world:\n  users: 0\n")
    with pytest.raises(ConfigError, match=r"world\.users = 0"):
        load(path)


def test_the_page_states_every_parameter_as_it_is() -> None:
    page = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    for name, r in ranges().items():
        row = f"| `{name}` | {r['low']:g} … {r['high']:g} | {r['unit']} | {r['source']} |"
        assert row in page, row
    for name, weight in simulator.VALUE_WEIGHTS.items():
        assert f"| `{name}` | {weight:g} |" in page, name


@pytest.mark.real_data
def test_rates_stand_near_kuairand(data_root: Path) -> None:
    rows, _ = comparison(small_log(), data_root / "kuairand-pure-dev")
    ours, feed, everything = rows
    assert feed["long_view_rate"] == pytest.approx(0.352, abs=0.001)
    assert everything["long_view_rate"] < feed["long_view_rate"]
    assert ours["long_view_rate"] == pytest.approx(feed["long_view_rate"], abs=0.08)
    assert ours["watch_ratio_distance"] < 0.12


@pytest.mark.real_data
def test_the_command_prints_one_report(
    data_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulator, "COMPARED_USERS", 200)
    monkeypatch.setattr(simulator, "COMPARED_ITEMS", 300)
    status = simulator.main(["--compare", str(data_root / "kuairand-pure-dev"), "--seed", "2"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["name"] == "simulator_marginals"
    assert report["rows"][0]["behaviour"] == "simulator"
    assert status == (0 if report["ok"] else 1)
