"""The closed loop on a tiny world: the same day for every policy, and figures that can fail."""

import json
from pathlib import Path

import numpy as np
import pytest

from configs.exposure import ExposureConfig
from configs.simulate import DaySection, SimulateConfig
from embeddings.feed_model import FeedModel, load_feed_model
from serving.feed.exposure import REACTIONS
from training import simulate, train_two_tower
from training.closed_loop.day import live_through
from training.closed_loop.figures import BARS, NewItems, daytime_at, figures_of
from training.closed_loop.ladder import COLUMNS, NOT_YET
from training.closed_loop.people import people_of
from training.closed_loop.policies import PopularFeed
from training.closed_loop.stage import DayPlan, daytime_ms, draw_stage
from training.datasets.simulator import SimulatorSettings
from training.simulate import Told, conclude, report, report_worlds, simulated

SETTINGS = SimulatorSettings.model_validate(
    {"world": {"users": 60, "items": 100}, "log": {"days": 3, "recorded_share": 0.3}}
)
TINY = """
towers: {dimensions: 8, history_length: 20}
linear: {kind: none}
fit: {epochs: 1, evaluate_every: 1, batch_size: 64}
"""
DAY = SimulateConfig(
    day=DaySection(hours=3, items_an_hour=3, pages=2),
    exposure=ExposureConfig.model_validate(
        {
            "first": {"S": 2, "A": 2, "B": 2, "C": 2, "none": 2, "guarantee_s": 600},
            "tiers": [{"impressions": 12, "bar": 1.0}],
            "quality": {"least_impressions": 1},
        }
    ),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> FeedModel:
    folder = tmp_path_factory.mktemp("towers")
    (folder / "world.yaml").write_text(SETTINGS.model_dump_json(), encoding="utf-8")
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    line = ["--dataset", "simulator", "--data", str(folder / "world.yaml"), "--threads", "1"]
    out = folder / "bundle"
    train_two_tower.main([*line, "--config", str(folder / "tiny.yaml"), "--out", str(out)])
    return load_feed_model(out)


@pytest.fixture(scope="module")
def told(bundle: FeedModel) -> Told:
    return simulated(bundle, DAY, SETTINGS, 0)


def test_every_policy_meets_the_same_sessions(told: Told) -> None:
    ours, popular, interest = (told.days[name] for name in ("ours", "popular", "interest"))
    assert len(ours.value) == len(popular.value) == len(interest.value) > 10
    assert (ours.hour == popular.hour).all()
    assert (ours.exposures != popular.exposures).any()


def test_the_same_policy_lives_the_same_day_twice(told: Told) -> None:
    again = live_through(told.stage, PopularFeed(told.stage, people_of(told.stage)))
    assert (again.value == told.days["popular"].value).all()


def test_new_items_get_their_first_audience_from_the_ladder(told: Told) -> None:
    assert (told.new.exposures[told.new.judged] > 0).all()
    assert np.isfinite(told.new.hours).any()


def test_the_report_is_written(
    told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(told, tmp_path / "day")
    assert (tmp_path / "day.png").stat().st_size > 10_000
    page = (tmp_path / "day.html").read_text(encoding="utf-8")
    assert "http" not in page
    assert "session_value" in page
    assert not conclude([{"world": 0} | dict.fromkeys(told.figures, 0.5)], [0])
    assert "quota_reached_share" in capsys.readouterr().out


def test_a_finished_world_is_remembered_until_its_limits_change(
    told: Told, bundle: FeedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days: list[int] = []

    def simulated_once(*_: object) -> Told:
        days.append(len(days))
        return told

    monkeypatch.setattr(simulate, "trained", lambda *_: None)
    monkeypatch.setattr(simulate, "load_feed_model", lambda _: bundle)
    monkeypatch.setattr(simulate, "simulated", simulated_once)
    line = simulate.parser().parse_args(["--reports", str(tmp_path)])
    first = simulate.finished(line, DAY, 0)
    assert simulate.finished(line, DAY, 0) == pytest.approx(first, nan_ok=True)
    assert len(days) == 1
    simulate.finished(line, SimulateConfig(), 0)
    simulate.finished(simulate.parser().parse_args(["--reports", str(tmp_path), "--again"]), DAY, 0)
    assert len(days) == 3


def test_bars_hold_in_eight_worlds_of_ten(
    told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    met = {name: bar for name, (_, bar) in BARS.items()}
    missed = met | {"session_vs_popular": 1.09}
    rows = [{"world": world} | (missed if world < 2 else met) for world in range(10)]
    assert conclude(rows, list(range(10)))
    printed = json.loads(capsys.readouterr().out)
    assert printed["figures"]["worlds_held"]["session_vs_popular"] == 8
    assert printed["rows"] == rows
    rows[2] = {"world": 2} | missed
    assert not conclude(rows, list(range(10)))
    report_worlds(rows, tmp_path / "worlds")
    assert (tmp_path / "worlds.png").stat().st_size > 10_000
    assert "1.09" in (tmp_path / "worlds.html").read_text(encoding="utf-8")


def test_figures_of_a_day_that_is_known(told: Told) -> None:
    new = NewItems(
        judged=np.array([True, True, True, False]),
        hours=np.array([1.0, 3.0, 2.0, np.inf]),
        tier=np.array([1, 0, 1, 1]),
        quality=np.array([2, 2, 0, 2]),
        exposures=np.ones(4),
    )
    found = figures_of(told.days, new)
    assert found["quota_reached_share"] == pytest.approx(2 / 3)
    assert found["quality_recall"] == 0.5
    assert found["poor_promoted_share"] == 1.0


def test_daytime_is_counted_from_publication(told: Told) -> None:
    rows = np.flatnonzero(told.stage.world.item_traits.published_ms >= told.stage.start_ms)
    lived = daytime_ms(told.stage.world, rows, 24) / 3_600_000
    assert (np.diff(lived, axis=1) >= 0).all()
    assert (lived[:, -1] <= 24).all()
    hours = daytime_at(
        np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 2.0]]), np.array([1.5, 0.5]), np.array([5, NOT_YET])
    )
    assert hours.tolist() == [0.5, np.inf]


def test_draws_are_the_same_for_every_policy() -> None:
    stage = draw_stage(SETTINGS, 0, DayPlan(hours=1, items_an_hour=1))
    assert stage.draws(3, 1).random() == stage.draws(3, 1).random()
    assert stage.draws(3, 1).random() != stage.draws(3, 2).random()
    assert len(COLUMNS) == len(REACTIONS)
