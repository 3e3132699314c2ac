"""Judge a bundle's ranker on impressions after its training, beside tuned trees and plain rates.

The ranker answers through its exported ONNX models. Trees learn from the same features of the same
impressions and are chosen on the newest tenth of them. Impressions of items that the user had met
before are left out: a feed does not repeat itself. Within users all models rank as for one request
(`training.ranking_study.as_requests`); whatever is pooled has each history as of its impression.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa
from tqdm import tqdm

from configs.load import load
from configs.ranking import RankerConfig
from embeddings.feed_model import FeedModel, load_feed_model
from embeddings.ranker_model import Ranker
from models.arrays import Mask, Rows, Vectors
from models.ranking_features import INTEREST_FEATURES, Rates, rate_logits
from models.tasks import TASKS
from training.calibration import decile_counts, poisson_interval
from training.datasets.interactions import Interactions
from training.datasets.load import DATASETS, load_dataset
from training.fit_ranker import RankerData
from training.metrics import Floats, bootstrap_difference, bootstrap_value, pooled_auc, user_aucs
from training.ranking_study import VALID_SHARE, Study, as_requests, study_of, taken
from training.report import print_report
from training.tree_baseline import Trees, features, tuned_trees

CONFIGS = Path("configs/ranker")
WITHIN_USERS = ("long_view", "click")  # frequent enough to be compared within single users
POOLED = ("like",)
MODELS = ("ranker", "lightgbm", "item_rate", "two_tower", "popularity")
LOWEST, AIM = -0.002, 0.005
CALIBRATED = (0.8, 1.25)


@dataclass(frozen=True)
class Window:
    """The same V impressions twice.

    Attributes:
        running: each with the history as of its own moment, as the ranker was trained.
        requests: as candidates of one request a user, so that they can be compared within users.
    """

    running: Study
    requests: Study

    def labels(self, task: str) -> Floats:
        """[V] 0 or 1."""
        return self.running.shown.labels[:, TASKS.index(task)].astype(np.float64)

    @property
    def users(self) -> Rows:
        """[V] user rows."""
        return self.running.shown.user_rows


@dataclass(frozen=True)
class Scores:
    """What one model says of one task: [V] of running histories, and [V] of requests."""

    running: Floats
    requests: Floats


@dataclass(frozen=True)
class Trial:
    """The test window and what every model says of it.

    Attributes:
        learned: impressions that trees learned from. window: of the test.
        scores: per task and model.
        settings: of the trees, per task.
    """

    learned: int
    window: Window
    scores: Mapping[str, Mapping[str, Scores]]
    settings: Mapping[str, Mapping[str, float]]


def add_arguments(line: argparse.ArgumentParser) -> None:
    """The command line of ``training.evaluate ranker``."""
    line.add_argument(
        "--bundle",
        type=Path,
        required=True,
        nargs="+",
        help="with rankers of one recipe and several seeds; trained with --until time-split",
    )
    line.add_argument("--dataset", choices=DATASETS, default="kuairand")
    line.add_argument("--data", type=Path, help="folder whose users are scored")
    line.add_argument("--fit-data", type=Path, help="folder that ranker and trees learned from")
    line.add_argument("--config", type=Path, help="default: configs/ranker/<dataset>.yaml")
    line.add_argument("--out", type=Path, help="also write the report to this file")


def main(options: argparse.Namespace) -> None:
    """Score everything and print one JSON object."""
    config = load(options.config or CONFIGS / f"{options.dataset}.yaml", RankerConfig)
    trials, seeds = [], []
    for folder in options.bundle:
        model = load_feed_model(folder)
        if model.ranker is None:
            raise SystemExit(f"{folder}: holds no ranker; add one with training.train_ranker")
        trials.append(trial_of(model, model.ranker, options, config))
        seeds.append(seed_of(model, model.ranker))
        if not np.array_equal(trials[-1].window.users, trials[0].window.users):
            raise SystemExit(f"{folder}: is asked about other impressions than {options.bundle[0]}")
    rows = [mean_of([row_of(trial, name) for trial in trials]) for name in MODELS]
    figures = figures_of(trials)
    if options.out:
        options.out.write_text(json.dumps({"rows": rows, "figures": figures}, indent=1))
    seed = seeds[0] if len(seeds) == 1 else seeds
    print_report("ranker", rows=rows, figures=figures, bars=bars(figures), seed=seed)


def seed_of(model: FeedModel, ranker: Ranker) -> int:
    """The seed of the ranker's fit."""
    return model.manifest.seed if ranker.facts.seed is None else ranker.facts.seed


def mean_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows of one model over seeds, as one."""
    names = [name for name in rows[0] if name != "model"]
    means = {name: float(np.mean([row[name] for row in rows])) for name in names}
    return {"model": rows[0]["model"]} | means


def trial_of(
    model: FeedModel, ranker: Ranker, options: argparse.Namespace, config: RankerConfig
) -> Trial:
    """Cut the windows and let every model score the test window.

    Raises:
        SystemExit: the ranker may have seen what is to be predicted.
    """
    data, tested = asked_data(options, model.manifest.seed)
    end_ms = ranker.facts.base_ms
    study = study_of(model, data, config.data, end_ms, int(data.events["time"].to_numpy().max()))
    mine = tested[study.shown.user_rows]
    late = study.shown.time_ms > end_ms
    known = ~late & ~mine if options.fit_data else ~late
    valid = known & (np.cumsum(known) > (1 - VALID_SHARE) * known.sum())
    # Other users' earlier impressions are as new to a ranker that learned from the whole of a log.
    cut = options.fit_data is None or (late & ~mine).any()
    test = mine & late if cut else mine
    if not test.any():
        raise SystemExit(
            f"bundle {model.version}: its ranker learned from everything up to {end_ms} ms, so "
            "nothing is left to ask; train it with --until time-split, or give --fit-data"
        )
    windows = {
        name: Window(chosen(study, which), as_requests(model, study, which))
        for name, which in (("valid", valid), ("test", test))
    }
    judge = Judge(ranker, windows["valid"], windows["test"])
    trees = {
        task: judge.trees(task, study, (known & ~valid, valid), seed_of(model, ranker))
        for task in (*WITHIN_USERS, *POOLED)
        if task in ranker.facts.tasks
    }
    scores = {task: judge.scores(task, of) for task, of in trees.items()}
    settings = {task: of.settings for task, of in trees.items()}
    return Trial(int(known.sum()), windows["test"], scores, settings)


def asked_data(options: argparse.Namespace, seed: int) -> tuple[Interactions, Mask]:
    """The data, and which of its users are scored; both folders together where there are two.

    Raises:
        SystemExit: the two folders share users.
    """
    data = load_dataset(options.dataset, options.data, seed)
    if options.fit_data is None:
        return data, np.ones(len(data.users), bool)
    fit = load_dataset(options.dataset, options.fit_data, seed)
    shared = set(fit.users["user_id"].to_pylist()) & set(data.users["user_id"].to_pylist())
    if shared:
        raise SystemExit(f"--data and --fit-data share {len(shared)} users; they must be others")
    items = pa.concat_tables([fit.items, data.items], promote_options="default")
    _, first = np.unique(items["item_id"].to_numpy(), return_index=True)
    users = pa.concat_tables([fit.users, data.users], promote_options="default")
    events = pa.concat_tables([fit.events, data.events])
    both = Interactions(events, items.take(np.sort(first)), users, fit.positives)
    return both, np.arange(len(users)) >= len(fit.users)


@dataclass(frozen=True)
class Judge:
    """A ranker with the windows that it and the trees are asked about."""

    ranker: Ranker
    valid: Window
    test: Window

    def read(self, study: Study) -> RankerData:
        """Impressions with the features that the ranker reads."""
        facts = self.ranker.facts
        return study.data(self.rates(), [TASKS.index(task) for task in facts.tasks])

    def rates(self) -> Rates:
        """What was usual where the ranker was trained."""
        return self.ranker.facts.rates

    def trees(self, task: str, study: Study, windows: tuple[Mask, Mask], seed: int) -> Trees:
        """Tuned trees for one task, chosen by the metric that the task is judged by."""
        asked = features(self.read(self.valid.requests))
        truth = self.valid.labels(task)

        def judged(model: lgb.Booster) -> float:
            scores = np.asarray(model.predict(asked), np.float64)
            if task in POOLED:
                return pooled_auc(truth, scores)
            return float(np.nanmean(user_aucs(self.valid.users, truth, scores)))

        labels = study.shown.labels[:, TASKS.index(task)]
        return tuned_trees(self.read(study), labels, windows, judged, seed)

    def scores(self, task: str, trees: Trees) -> dict[str, Scores]:
        """What every model says of the test window."""
        test = self.test

        def of_both(say: Callable[[Study], Any]) -> Scores:
            said = (np.asarray(say(study), np.float64) for study in (test.running, test.requests))
            return Scores(*said)

        return {
            "ranker": of_both(lambda study: self.probabilities(study, task)),
            "lightgbm": of_both(lambda study: trees.scores(self.read(study))),
            "item_rate": of_both(lambda study: self.item_rate(study, task)),
            "two_tower": of_both(lambda study: study.pairs[:, -INTEREST_FEATURES]),
            "popularity": of_both(lambda study: study.counts.impressions),
        }

    def probabilities(self, study: Study, task: str) -> Vectors:
        """[E] by the exported model, each impression a request of its own."""
        data, halves = self.read(study), np.asarray(self.ranker.tables.halves)
        inputs = (
            {
                "user": data.user[e : e + 1],
                "item_half": halves[data.item_rows[e : e + 1]],
                "cross": data.cross[e : e + 1],
            }
            for e in tqdm(range(len(data)), f"ranker: {task}", delay=5)
        )
        run, column = self.ranker.network.run, self.ranker.facts.tasks.index(task)
        return np.array([run(["predictions"], given)[0][0, column] for given in inputs])

    def item_rate(self, study: Study, task: str) -> Vectors:
        """[E] how the items had fared at the task by then."""
        t = TASKS.index(task)
        overall = self.rates().overall[[t]]
        return rate_logits(study.counts.reactions[:, [t]], study.counts.impressions, overall)[:, 0]


def chosen(study: Study, which: Mask) -> Study:
    """Some of the impressions."""
    return replace(
        study,
        shown=study.shown.take(which),
        counts=taken(study.counts, which),
        user=study.user[which],
        habits=study.habits[which],
        pairs=study.pairs[which],
    )


def row_of(trial: Trial, name: str) -> dict[str, Any]:
    """Metrics of one model."""
    row: dict[str, Any] = {"model": name}
    for task, scores in trial.scores.items():
        labels, users = trial.window.labels(task), trial.window.users
        if task in WITHIN_USERS:
            within = user_aucs(users, labels, scores[name].requests)
            row[f"user_auc_{task}"] = float(np.nanmean(within))
        row[f"auc_{task}"] = pooled_auc(labels, scores[name].running)
    return row


def figures_of(trials: Sequence[Trial]) -> dict[str, Any]:
    """Sizes, differences with their paired intervals over users, and calibration."""
    window = trials[0].window
    figures: dict[str, Any] = {
        "impressions": len(window.users),
        "learned_from": trials[0].learned,
        "lightgbm": trials[0].settings,
    }
    for task in trials[0].scores:
        if task in WITHIN_USERS:
            for name, of in (("", "requests"), ("_running", "running")):
                gaps = np.stack([user_gaps(trial, task, of) for trial in trials])
                key = f"user_auc_{task}_minus_lightgbm{name}"
                figures[key] = list(bootstrap_difference(gaps.mean(0), np.zeros(gaps.shape[1])))
                figures[f"{key}_by_seed"] = gaps.mean(1).tolist()
                figures[f"users_{task}"] = gaps.shape[1]
        figures |= pooled_figures(trials, task)
    return figures


def pooled_figures(trials: Sequence[Trial], task: str) -> dict[str, Any]:
    """What is measured over all impressions, each seed by itself and then averaged."""
    window, labels = trials[0].window, trials[0].window.labels(task)
    ours, theirs = (
        np.stack([trial.scores[task][name].running for trial in trials], 1)
        for name in ("ranker", "lightgbm")
    )
    counts = np.array([decile_counts(said, labels) for said in ours.T]).mean(0)
    low, high = poisson_interval(counts[0]) / counts[1]
    figures: dict[str, Any] = {
        f"observed_over_predicted_{task}": (counts[0] / counts[1]).tolist(),
        f"observed_over_predicted_{task}_low": low.tolist(),
        f"observed_over_predicted_{task}_high": high.tolist(),
        f"observed_{task}": counts[0].tolist(),
        f"predicted_{task}": counts[1].tolist(),
    }
    if task in POOLED:
        for name, said in (("", ours), ("_lightgbm", theirs)):
            value = bootstrap_value(mean_auc, window.users, labels, said)
            figures[f"auc_{task}{name}"] = list(value)
    return figures


def mean_auc(labels: Floats, scores: Floats) -> float:
    """Mean over S seeds of the AUC of scores [E, S]."""
    return float(np.mean([pooled_auc(labels, said) for said in scores.T]))


def user_gaps(trial: Trial, task: str, of: str) -> Floats:
    """[U] AUC of the ranker less that of the trees, of users with both outcomes."""
    labels, scores = trial.window.labels(task), trial.scores[task]
    ours, theirs = (
        user_aucs(trial.window.users, labels, getattr(scores[name], of))
        for name in ("ranker", "lightgbm")
    )
    return np.asarray((ours - theirs)[np.isfinite(ours)])


def bars(figures: Mapping[str, Any]) -> dict[str, bool]:
    """What a ranker must reach."""
    held = {}
    for task in (*WITHIN_USERS, *POOLED):
        gap = figures.get(f"user_auc_{task}_minus_lightgbm")
        if gap is not None:
            held[f"{task}: lower end >= {LOWEST} of LightGBM"] = gap[1] >= LOWEST
            held[f"{task}: aim +{AIM}"] = gap[0] >= AIM
        if ratios := figures.get(f"observed_over_predicted_{task}"):
            low, high = CALIBRATED
            held[f"{task}: deciles within {low}-{high}"] = low <= min(ratios) <= max(ratios) <= high
    return held
