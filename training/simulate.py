"""The closed loop: our feed, a popularity feed and pure interest, in the same simulated day.

``python -m training.simulate --seed 0``, or ``--worlds 10`` for seeds 0 to 9

Every policy meets the same people at the same moments with the same draws. Our feed is the server's
engine, selectors and ladder. What is planted in the world is read by the figures alone. A finished
world is remembered beside its picture: a run that was broken off goes on where it was.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs.load import load
from configs.simulate import SimulateConfig
from embeddings.feed_model import FeedModel, load_feed_model
from models.ranking_features import FEATURES
from serving.feed.limits import audience_rules, ladder_rules, rules_of
from training import train_ranker, train_two_tower
from training.closed_loop.day import Day, live_through
from training.closed_loop.drawing import draw, draw_worlds, write_page
from training.closed_loop.figures import (
    BARS,
    INTEREST,
    OURS,
    POPULAR,
    NewItems,
    class_rows,
    figures_of,
    new_items_of,
    policy_rows,
    worlds_held,
)
from training.closed_loop.ladder import DayLadder
from training.closed_loop.ours import OurFeed
from training.closed_loop.people import people_of
from training.closed_loop.policies import Catalogue, InterestFeed, PopularFeed
from training.closed_loop.stage import DayPlan, Stage, draw_stage
from training.datasets.simulator import SimulatorSettings
from training.provenance import code_revision
from training.report import print_report

CONFIG = Path("configs/simulate.yaml")
RECIPES = (Path("configs/two_tower/simulator.yaml"), Path("configs/ranker/simulated_day.yaml"))
RUNS, REPORTS = Path("var/runs"), Path("var/reports")
WORLDS_BAR = 0.8  # of the worlds in which each bar holds


@dataclass(frozen=True)
class Told:
    """One world's day.

    Attributes:
        days: by policy. new: what became of the new items. figures: those of ``BARS``.
    """

    stage: Stage
    days: dict[str, Day]
    new: NewItems
    figures: dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one world a seed and print one JSON object; exit status 0 where every bar holds."""
    options = parser().parse_args(arguments)
    config = load(options.config, SimulateConfig)
    seeds = options.seed if options.worlds is None else range(options.worlds)
    rows = []
    for seed in seeds:
        rows.append({"world": seed} | finished(options, config, seed))
        print(rows[-1], file=sys.stderr, flush=True)
    if len(rows) > 1:
        report_worlds(rows, options.reports / "simulate-worlds")
    return 0 if conclude(rows, list(seeds)) else 1


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(prog="training.simulate", description=__doc__)
    which = line.add_mutually_exclusive_group()
    which.add_argument("--seed", type=int, nargs="+", default=[0], help="one world each")
    which.add_argument("--worlds", type=int, help="seeds 0 to one below this")
    line.add_argument("--config", type=Path, default=CONFIG)
    line.add_argument("--runs", type=Path, default=RUNS, help="of bundles; missing are trained")
    line.add_argument("--reports", type=Path, default=REPORTS)
    line.add_argument("--again", action="store_true", help="also worlds that are finished")
    return line


def finished(options: argparse.Namespace, config: SimulateConfig, seed: int) -> dict[str, float]:
    """Figures of a world: those remembered of the same code, recipes and limits, or new ones."""
    path: Path = options.reports / f"simulate-{seed}"
    made_of = digest(code_revision(), config.model_dump_json(), *map(Path.read_text, RECIPES))
    memory = path.with_suffix(".json")
    if memory.is_file() and not options.again:
        told = json.loads(memory.read_text(encoding="utf-8"))
        if told["made_of"] == made_of:
            return dict(told["figures"])
    bundle = load_feed_model(trained(options.runs, seed))
    day = simulated(bundle, config, SimulatorSettings(), seed)
    report(day, path)
    told = {"made_of": made_of, "figures": day.figures}
    memory.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return day.figures


def digest(*parts: str) -> str:
    """Eight hexadecimal digits that tell these texts from others."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


def trained(runs: Path, seed: int) -> Path:
    """Folder of the bundle of a world, trained on its log by today's recipes where missing."""
    of_towers, of_ranker = (path.read_text(encoding="utf-8") for path in RECIPES)
    towers = runs / f"simulate-{seed}-{digest(of_towers)}-towers"
    whole = runs / f"simulate-{seed}-{digest(of_towers, of_ranker, str(FEATURES))}"
    simulator = ["--dataset", "simulator", "--threads", "1"]
    if not whole.exists() and not towers.exists():
        train_two_tower.main([*simulator, "--seed", str(seed), "--out", str(towers)])
    if not whole.exists():
        recipe = ["--config", str(RECIPES[1]), "--bundle", str(towers)]
        train_ranker.main([*simulator, *recipe, "--out", str(whole)])
    return whole


def simulated(
    bundle: FeedModel, config: SimulateConfig, world: SimulatorSettings, seed: int
) -> Told:
    """Let each policy live through the same day."""
    day = config.day
    plan = DayPlan(day.hours, day.items_an_hour, day.page, day.pages, day.tick_s * 1000)
    stage = draw_stage(world, seed, plan)
    people = people_of(stage)
    exposure = config.exposure
    ladder = DayLadder(stage, people, ladder_rules(exposure), audience_rules(exposure))
    ours = OurFeed(stage, people, bundle, rules_of(config.feed), ladder)
    popular = PopularFeed(stage, people_of(stage))
    interest = InterestFeed(stage, people_of(stage), Catalogue(stage, bundle))
    days = {
        name: live_through(stage, policy)
        for name, policy in ((OURS, ours), (POPULAR, popular), (INTEREST, interest))
    }
    new = new_items_of(stage, ladder, days[OURS])
    return Told(stage, days, new, figures_of(days, new))


def report(told: Told, path: Path) -> None:
    """Print a world's tables and write its picture and page."""
    policies, classes = policy_rows(told.stage, told.days), class_rows(told.new)
    bars = [
        {"figure": name, "value": value, "bar": " ".join(map(str, BARS[name]))}
        for name, value in told.figures.items()
    ]
    tables = {
        "Policies": policies,
        "New items, by planted quality": classes,
        f"Figures of world {told.stage.seed}": bars,
    }
    for title, rows in tables.items():
        print(f"\n{title}")
        print_table(rows)
    draw(path.with_suffix(".png"), told.days, told.new)
    write_page(path.with_suffix(".html"), path.with_suffix(".png"), tables)
    print(f"\n{path.with_suffix('.html')}", flush=True)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Rows in aligned columns."""
    cells = [list(rows[0])] + [
        [f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def report_worlds(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write picture and page of several worlds."""
    draw_worlds(path.with_suffix(".png"), rows)
    write_page(path.with_suffix(".html"), path.with_suffix(".png"), {"Worlds": rows})
    print(f"\n{path.with_suffix('.html')}", flush=True)


def conclude(rows: Sequence[dict[str, Any]], seeds: Sequence[int]) -> bool:
    """Print the figures, means over the worlds, and whether each bar holds in enough of them."""
    held = worlds_held(rows)
    bars = {
        f"{name} {way} {bar} in {WORLDS_BAR:.0%} of the worlds": held[name]
        >= WORLDS_BAR * len(rows)
        for name, (way, bar) in BARS.items()
    }
    figures: dict[str, Any] = {name: float(np.mean([row[name] for row in rows])) for name in BARS}
    figures["worlds_held"] = held
    worlds = rows if len(rows) > 1 else None
    return print_report("simulate", figures=figures, rows=worlds, bars=bars, seed=list(seeds))


if __name__ == "__main__":
    sys.exit(main())
