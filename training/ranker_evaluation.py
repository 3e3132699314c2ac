"""Judge a bundle's ranker on impressions after its training, beside tuned trees and plain rates.

The ranker answers through its exported ONNX models. Trees learn from the same features of the same
impressions and are chosen on the newest tenth of them. Impressions of items that the user had met
before are left out: a feed does not repeat itself.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from configs.load import load
from configs.ranking import RankerConfig
from embeddings.feed_model import FeedModel, load_feed_model
from embeddings.ranker_model import Ranker
from models.arrays import Mask, Vectors
from models.ranking_features import Rates, rate_logits
from models.tasks import TASKS
from training.calibration import decile_ratios
from training.datasets.interactions import Interactions
from training.datasets.load import DATASETS, load_dataset
from training.metrics import Floats, bootstrap_difference, bootstrap_value, pooled_auc, user_aucs
from training.ranking_study import VALID_SHARE, Study, study_of
from training.report import print_report
from training.tree_baseline import Trees, features, tuned_trees

CONFIGS = Path("configs/ranker")
WITHIN_USERS = ("long_view", "click")  # frequent enough to be compared within single users
POOLED = ("like",)
LOWEST, AIM = -0.002, 0.005
CALIBRATED = (0.8, 1.25)


@dataclass(frozen=True)
class Trial:
    """Impressions with their windows and scores.

    Attributes:
        study: of all impressions. train, valid, test: [E].
        scores: per model and task, of the test impressions [V]; higher is better.
        trees: per task, what was chosen.
    """

    study: Study
    train: Mask
    valid: Mask
    test: Mask
    scores: Mapping[str, Mapping[str, Vectors]]
    trees: Mapping[str, Trees]

    def labels(self, task: str) -> Floats:
        """[V] of the test impressions."""
        return self.study.shown.labels[self.test, TASKS.index(task)].astype(np.float64)

    @property
    def users(self) -> Any:
        """[V] user rows of the test impressions."""
        return self.study.shown.user_rows[self.test]


def add_arguments(line: argparse.ArgumentParser) -> None:
    """The command line of ``training.evaluate ranker``."""
    line.add_argument(
        "--bundle", type=Path, required=True, help="trained with --protocol time-split"
    )
    line.add_argument("--dataset", choices=DATASETS, default="kuairand")
    line.add_argument("--data", type=Path, help="folder whose users are scored")
    line.add_argument("--fit-data", type=Path, help="folder that ranker and trees learned from")
    line.add_argument("--config", type=Path, help="default: configs/ranker/<dataset>.yaml")
    line.add_argument("--out", type=Path, help="also write the report to this file")


def main(options: argparse.Namespace) -> None:
    """Score everything and print one JSON object."""
    model = load_feed_model(options.bundle)
    if model.ranker is None:
        raise SystemExit(f"{options.bundle}: holds no ranker; add one with training.train_ranker")
    config = load(options.config or CONFIGS / f"{options.dataset}.yaml", RankerConfig)
    trial = trial_of(model, model.ranker, options, config)
    rows = [
        {"model": name} | {metric: value for metric, value in row_of(trial, name)}
        for name in trial.scores
    ]
    figures = figures_of(trial)
    if options.out:
        options.out.write_text(json.dumps({"rows": rows, "figures": figures}, indent=1))
    print_report("ranker", rows=rows, figures=figures, bars=bars(figures), seed=model.manifest.seed)


def trial_of(
    model: FeedModel, ranker: Ranker, options: argparse.Namespace, config: RankerConfig
) -> Trial:
    """Cut the windows and let every model score the test window.

    Raises:
        SystemExit: the towers may have seen what is to be predicted.
    """
    facts = model.manifest.data
    if facts.window is None or (facts.protocol != "time-split" and options.fit_data is None):
        raise SystemExit(
            f"{options.bundle}: trained with --protocol {facts.protocol}, so it may know what is "
            "asked; train the towers with --protocol time-split, or give --fit-data and others' data"
        )
    data, tested = asked_data(options, model.manifest.seed)
    end_ms = facts.window[1]
    study = study_of(model, data, config.data, end_ms, int(data.events["time"].to_numpy().max()))
    mine = tested[study.shown.user_rows]
    late = study.shown.time_ms > end_ms
    known = ~late & ~mine if options.fit_data else ~late
    test = mine & late if facts.protocol == "time-split" else mine
    valid = known & (np.cumsum(known) > (1 - VALID_SHARE) * known.sum())
    trial = Trial(study, known & ~valid, valid, test, {}, {})
    trees = {task: trees_for(trial, ranker, task, model.manifest.seed) for task in asked(ranker)}
    scores = {
        "ranker": ranker_scores(trial, ranker),
        "lightgbm": {task: of.probabilities for task, of in trees.items()},
        "item_rate": {task: item_rate(trial, ranker, task) for task in trees},
        "two_tower": dict.fromkeys(trees, interest_scores(trial, model)),
        "popularity": dict.fromkeys(trees, study.counts.impressions[test]),
    }
    return replace(trial, scores=scores, trees=trees)


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


def asked(ranker: Ranker) -> list[str]:
    """The tasks that are compared."""
    return [task for task in (*WITHIN_USERS, *POOLED) if task in ranker.facts.tasks]


def ranker_scores(trial: Trial, ranker: Ranker) -> dict[str, Vectors]:
    """Probabilities of the test impressions, each asked as a request of its own."""
    facts = ranker.facts
    data = trial.study.data(rates_of(ranker), [TASKS.index(task) for task in facts.tasks])
    said = []
    for e in tqdm(np.flatnonzero(trial.test), "ranker", delay=2):
        inputs = {
            "user": data.user[e : e + 1],
            "item_half": np.asarray(ranker.tables.halves[data.item_rows[e : e + 1]]),
            "cross": data.cross[e : e + 1],
        }
        said.append(ranker.network.run(["predictions"], inputs)[0][0])
    table = np.stack(said)
    return {task: table[:, t] for t, task in enumerate(facts.tasks)}


def rates_of(ranker: Ranker) -> Rates:
    """What was usual where the ranker was trained."""
    return Rates(np.array(ranker.facts.overall, np.float32), ranker.facts.impressions)


def trees_for(trial: Trial, ranker: Ranker, task: str, seed: int) -> Trees:
    """Tuned trees for one task, by the metric that the task is judged by."""
    tasks = [TASKS.index(name) for name in ranker.facts.tasks]
    table = features(trial.study.data(rates_of(ranker), tasks))
    labels = trial.study.shown.labels[:, TASKS.index(task)]
    users = trial.study.shown.user_rows

    def judged(scores: Vectors, chosen: Mask) -> float:
        truth = labels[chosen].astype(np.float64)
        if task in POOLED:
            return pooled_auc(truth, scores)
        return float(np.nanmean(user_aucs(users[chosen], truth, scores)))

    return tuned_trees(table, labels, (trial.train, trial.valid, trial.test), judged, seed)


def item_rate(trial: Trial, ranker: Ranker, task: str) -> Vectors:
    """[V] how the item had fared at the task by then."""
    t = TASKS.index(task)
    counts, test = trial.study.counts, trial.test
    overall = rates_of(ranker).overall[[t]]
    return rate_logits(counts.reactions[test][:, [t]], counts.impressions[test], overall)[:, 0]


def interest_scores(trial: Trial, model: FeedModel) -> Vectors:
    """[V] inner product of the user's best interest and the item."""
    pairs = trial.study.pairs[trial.test]
    return np.asarray(pairs[:, -(model.retrieval_vectors.shape[1] + 3)])


def row_of(trial: Trial, name: str) -> list[tuple[str, float]]:
    """Metrics of one model."""
    row = []
    for task, scores in trial.scores[name].items():
        if task not in trial.trees:
            continue
        labels = trial.labels(task)
        if task in WITHIN_USERS:
            within = user_aucs(trial.users, labels, scores)
            row.append((f"user_auc_{task}", float(np.nanmean(within))))
        row.append((f"auc_{task}", pooled_auc(labels, scores)))
    return row


def figures_of(trial: Trial) -> dict[str, Any]:
    """Sizes, differences with their paired intervals over users, and calibration."""
    figures: dict[str, Any] = {
        "impressions": int(trial.test.sum()),
        "train_impressions": int(trial.train.sum() + trial.valid.sum()),
        "lightgbm": {task: trees.settings for task, trees in trial.trees.items()},
    }
    for task in trial.trees:
        labels, ours = trial.labels(task), trial.scores["ranker"][task]
        if task in WITHIN_USERS:
            within, others = (
                user_aucs(trial.users, labels, trial.scores[name][task])
                for name in ("ranker", "lightgbm")
            )
            both = np.isfinite(within)
            gap = bootstrap_difference(within[both], others[both])
            figures[f"users_{task}"] = int(both.sum())
            figures[f"user_auc_{task}_minus_lightgbm"] = list(gap)
        else:
            figures[f"auc_{task}"] = list(bootstrap_value(pooled_auc, trial.users, labels, ours))
        figures[f"observed_over_predicted_{task}"] = decile_ratios(ours, labels)
    return figures


def bars(figures: Mapping[str, Any]) -> dict[str, bool]:
    """What a ranker must reach."""
    held = {}
    for task in WITHIN_USERS:
        gap = figures.get(f"user_auc_{task}_minus_lightgbm")
        if gap is not None:
            held[f"{task}: lower end >= {LOWEST} of LightGBM"] = gap[1] >= LOWEST
            held[f"{task}: aim +{AIM}"] = gap[0] >= AIM
        if ratios := figures.get(f"observed_over_predicted_{task}"):
            low, high = CALIBRATED
            held[f"{task}: deciles within {low}-{high}"] = low <= min(ratios) <= max(ratios) <= high
    return held
