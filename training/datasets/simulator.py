"""The simulator: a seeded world of items and people, and the behaviour it logs.

``python -m training.datasets.simulator --compare FOLDER`` prints a log's marginals beside those of
the KuaiRand folder. The model, its parameters and their sources: ``docs/simulator.md``.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from configs.load import load as load_settings
from configs.schema import Section
from training.datasets.interactions import Interactions
from training.datasets.world.draw import START_MS, World, draw_world, new_items
from training.datasets.world.log import LoggingPolicy, sample_log
from training.datasets.world.marginals import comparison
from training.datasets.world.memory import Memory, begin_sessions, fresh_memory
from training.datasets.world.people import Visits, draw_visits
from training.datasets.world.reactions import REACTIONS
from training.datasets.world.response import VALUE_WEIGHTS, Responses, respond, values
from training.report import print_report

__all__ = [
    "REACTIONS",
    "START_MS",
    "VALUE_WEIGHTS",
    "LoggingPolicy",
    "Memory",
    "Responses",
    "SimulatorSettings",
    "Visits",
    "World",
    "begin_sessions",
    "draw_visits",
    "draw_world",
    "fresh_memory",
    "load",
    "new_items",
    "respond",
    "sample_log",
    "settings_at",
    "values",
    "world_of",
]

COMPARED_USERS, COMPARED_ITEMS = 4_000, 7_583  # as many items as KuaiRand-Pure has videos


class WorldSettings(Section):
    """Size of a world; what else it is like is drawn from the published ranges."""

    users: int = Field(default=4_000, ge=1, le=1_000_000)
    items: int = Field(default=2_000, ge=1, le=10_000_000)
    violation_share: float = Field(default=0.01, ge=0.0, le=1.0)
    start_ms: int = Field(default=START_MS, ge=0)


class LogSettings(Section):
    """The log that a world is learned from."""

    days: int = Field(default=14, ge=1, le=45)
    interest: float = Field(default=LoggingPolicy.interest, ge=0.0, le=1.0)
    popular: float = Field(default=LoggingPolicy.popular, ge=0.0, le=1.0)
    recorded_share: float = Field(default=LoggingPolicy.recorded_share, gt=0.0, le=1.0)


class SimulatorSettings(Section):
    """``configs/simulator.yaml``."""

    world: WorldSettings = WorldSettings()
    log: LogSettings = LogSettings()


def settings_at(path: Path | None) -> SimulatorSettings:
    """Settings in a YAML file, or the defaults where there is none."""
    return SimulatorSettings() if path is None else load_settings(path, SimulatorSettings)


def world_of(settings: SimulatorSettings, seed: int) -> World:
    """The world of these settings and this seed."""
    return draw_world(seed, **settings.world.model_dump())


def load(path: Path | None, seed: int = 0) -> Interactions:
    """A simulated log in the Interactions contract.

    Args:
        path: a file like ``configs/simulator.yaml``, or None for the defaults.
        seed: of the world and of its log.

    Raises:
        ConfigError: the file cannot be used.
    """
    settings = settings_at(path)
    return log_of(settings, world_of(settings, seed), seed)


def log_of(settings: SimulatorSettings, world: World, seed: int) -> Interactions:
    """The world's log; its draws are apart from those the world was made of."""
    chosen = settings.log.model_dump(exclude={"days"})
    rng = np.random.default_rng([seed, 1])
    return sample_log(world, settings.log.days, replace(LoggingPolicy(), **chosen), rng)


def compare(folder: Path, seed: int) -> bool:
    """Print the marginals of one world's log beside KuaiRand's; return whether the bars hold."""
    settings = SimulatorSettings(
        world=WorldSettings(users=COMPARED_USERS, items=COMPARED_ITEMS), log=LogSettings()
    )
    log = log_of(settings, world_of(settings, seed), seed)
    rows, held = comparison(log, folder)
    return print_report("simulator_marginals", rows=rows, bars=held, seed=seed)


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit status 0 where every bar holds."""
    parser = argparse.ArgumentParser(description="Compare simulated behaviour with KuaiRand's.")
    parser.add_argument("--compare", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    return 0 if compare(chosen.compare, chosen.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
