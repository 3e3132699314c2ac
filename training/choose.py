"""Baselines with their settings chosen per metric on validation users, then fitted and scored."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from training.baselines import FAMILIES, Family, Parameters
from training.log import Log
from training.protocols import Cases
from training.ranking import METRICS, Ranking, rank_baseline


@dataclass(frozen=True)
class Setting:
    """One way to run a baseline."""

    name: str
    parameters: Parameters
    decay: float

    def label(self) -> dict[str, float]:
        """Its settings, for reports; a decay of 1 goes without saying."""
        decay = {} if self.decay == 1 else {"decay": self.decay}
        return {**self.parameters, **decay}


@dataclass(frozen=True)
class Chosen:
    """A baseline whose setting may differ from metric to metric.

    Attributes:
        settings: per metric.
        ranking: per metric; its `per_user` holds that metric under that setting.
    """

    settings: Mapping[str, Setting]
    ranking: Mapping[str, Ranking]

    def row(self) -> dict[str, float]:
        """Each metric's mean under its own setting."""
        return {metric: ranking.mean(metric) for metric, ranking in self.ranking.items()}


def choose_and_score(train: Log, valid: Cases, final: Log, test: Cases) -> dict[str, Chosen]:
    """Fit every baseline on `train`, choose on `valid`, refit on `final`, score `test`."""
    chosen: dict[str, Chosen] = {}
    for family in tqdm(FAMILIES, desc="baselines", unit="family"):
        best = best_settings(family, train, valid)
        chosen |= {name: score(family, s, final, test) for name, s in best.items()}
    return chosen


def best_settings(family: Family, train: Log, valid: Cases) -> dict[str, dict[str, Setting]]:
    """Per baseline of the family and per metric, the setting that is best on `valid`."""
    values: dict[str, list[tuple[Setting, Ranking]]] = {name: [] for name in family.decays}
    for parameters in distinct_settings(family, train):
        baseline = family.fit(train, parameters)
        for name, decays in family.decays.items():
            for decay in decays:
                ranking = rank_baseline(baseline, valid, decay, train.item_count)
                values[name].append((Setting(name, parameters, decay), ranking))
    return {name: {m: _best(tried, m) for m in METRICS} for name, tried in values.items()}


def distinct_settings(family: Family, log: Log) -> list[Parameters]:
    """The family's grid; where all events are positives, `everything` changes nothing."""
    same = bool(log.positive.all())
    return [p for p in family.grid if not (same and p.get("everything"))]


def _best(tried: list[tuple[Setting, Ranking]], metric: str) -> Setting:
    return tried[int(np.argmax([ranking.mean(metric) for _, ranking in tried]))][0]


def score(family: Family, settings: Mapping[str, Setting], log: Log, test: Cases) -> Chosen:
    """Fit each distinct setting once and score the test cases."""
    rankings: dict[str, Ranking] = {}
    for parameters in _distinct(settings):
        baseline = family.fit(log, parameters)
        for metric, setting in settings.items():
            if setting.parameters == parameters:
                rankings[metric] = rank_baseline(baseline, test, setting.decay, log.item_count)
    return Chosen(settings, rankings)


def _distinct(settings: Mapping[str, Setting]) -> list[Parameters]:
    distinct: list[Parameters] = []
    for setting in settings.values():
        if setting.parameters not in distinct:
            distinct.append(setting.parameters)
    return distinct
