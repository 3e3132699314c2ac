"""Train the ranker of a feed bundle and write the bundle anew with it.

``python -m training.train_ranker --bundle TOWERS --dataset kuairand --data PATH --out BUNDLE``

Read top to bottom: impressions with everything as of their moment, a first fit whose predictions of
the newest tenth calibrate each task, a second fit on all, export with parity checks, the items'
half of the first layer, a new version of the bundle. Where the settings ask for it, each fit is
that of a teacher and of a student (`training.distil`).

``--until`` says what is learned from: nothing after the end of what the towers were trained on
(``towers``), all but the newest ``data.test_share`` of the log (``time-split``), or ``all``.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from configs.load import load
from configs.ranking import RankerConfig
from embeddings.feed_model import FeedModel, load_feed_model
from models.arrays import Mask
from models.bundle import BundleError
from models.ranker import Calibration
from models.ranking_features import Rates
from models.tasks import TASKS
from training.calibration import bent
from training.datasets.interactions import Interactions
from training.datasets.load import DATASETS, load_dataset
from training.distil import Lessons, Trees, first_trees, fit_distilled, refitted
from training.fit_ranker import RankerData, logits
from training.log import encode
from training.pack_ranker import Fitted, pack_ranker
from training.ranking_study import VALID_SHARE, Study, study_of, unshown
from training.report import peak_memory_gb, print_report

CONFIGS = Path("configs/ranker")
UNTIL = ("towers", "time-split", "all")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe and print one JSON object."""
    options = parser().parse_args(arguments)
    started = time.monotonic()
    torch.set_num_threads(options.threads)
    if options.out.exists():
        raise SystemExit(f"--out {options.out}: exists; bundles are immutable, name a new folder")
    config = load(options.config or CONFIGS / f"{options.dataset}.yaml", RankerConfig)
    model = load_feed_model(options.bundle)
    facts = model.manifest.data
    if facts.window is None or facts.dataset != options.dataset:
        raise SystemExit(f"{options.bundle}: trained on {facts.dataset}, not on {options.dataset}")
    seed = model.manifest.seed if options.seed is None else options.seed
    data = load_dataset(options.dataset, options.data, model.manifest.seed)
    end_ms = end_of(options, data, facts.window[1], config.data.test_share)
    study = study_of(model, data, config.data, end_ms, end_ms)
    rates, tasks = study.rates(np.ones(len(study.shown), bool), config.data)
    lessons = lessons_of(model, study, (rates, tasks), config.distil.pairs, seed)
    first = first_share(lessons.shown, 1 - VALID_SHARE)
    trees = first_trees(lessons.shown, first, config.distil, seed + 1)
    calibration = calibrated(lessons, first, config, trees, seed)
    trees = refitted(trees, lessons.shown, seed + 1)
    network = fit_distilled(lessons, config, trees, seed)
    names = tuple(TASKS[t] for t in tasks)
    regions = study.places.names
    fitted = Fitted(network, calibration, rates, names, regions, study.end_ms, seed)
    try:
        manifest, parity = pack_ranker(
            fitted, study.catalogue, study.counters, model, options.bundle, options.out
        )
    except BundleError as error:
        raise SystemExit(str(error)) from error
    print_report(
        "train_ranker",
        figures={
            "bundle": str(options.out),
            "version": manifest.version,
            "impressions": len(study.shown),
            "tasks": [TASKS[t] for t in tasks],
            "tree_rounds": [tree and tree.num_trees() for tree in trees],
            "calibration": asdict(calibration),
            "parity": parity,
            "minutes": (time.monotonic() - started) / 60,
            "peak_memory_gb": peak_memory_gb(),
        },
        bars={"parity <= 1e-4": parity <= 1e-4},
        seed=seed,
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(prog="training.train_ranker", description=__doc__)
    line.add_argument("--bundle", type=Path, required=True, help="with towers")
    line.add_argument("--dataset", required=True, choices=DATASETS)
    line.add_argument("--data", type=Path, help="the dataset's folder")
    line.add_argument("--out", type=Path, required=True, help="folder of the new bundle")
    line.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    line.add_argument("--config", type=Path, help="default: configs/ranker/<dataset>.yaml")
    line.add_argument("--until", choices=UNTIL, default="towers", help="what is learned from")
    line.add_argument("--seed", type=int, help="of the ranker; default: that of the towers")
    return line


def end_of(
    options: argparse.Namespace, data: Interactions, towers_end_ms: int, test_share: float
) -> int:
    """The last moment that is learned from.

    Raises:
        SystemExit: the towers know what comes after it.
    """
    log = encode(data)
    times_ms = log.time_ms[log.logged]
    end_ms = {
        "towers": towers_end_ms,
        "time-split": int(np.quantile(times_ms, 1 - test_share)),
        "all": int(times_ms.max()),
    }[options.until]
    if end_ms < towers_end_ms:
        raise SystemExit(
            f"--until {options.until}: ends at {end_ms} ms, but the towers of {options.bundle} "
            f"learned up to {towers_end_ms} ms; train them with --protocol before-log"
        )
    if end_ms < times_ms.min():
        raise SystemExit(
            f"--until {options.until}: the log begins after {end_ms} ms, the end of the towers of "
            f"{options.bundle}; give --until time-split or all"
        )
    return end_ms


def lessons_of(
    model: FeedModel,
    study: Study,
    read: tuple[Rates, list[int]],
    pairs: int,
    seed: int,
) -> Lessons:
    """All that is learned from: impressions, and as many pairs that were not shown as are asked."""
    rates, tasks = read
    shown = study.data(rates, tasks)
    if not pairs:
        return Lessons(shown, shown.take(np.zeros(0, np.int64)), np.zeros(0, np.int64))
    others, owners = unshown(model, study, pairs, seed)
    return Lessons(shown, others.data(rates, tasks), owners)


def first_share(examples: RankerData, share: float) -> Mask:
    """[E], true for the oldest `share` of the impressions."""
    return np.arange(len(examples)) < share * len(examples)


def calibrated(
    lessons: Lessons, first: Mask, config: RankerConfig, trees: Trees, seed: int
) -> Calibration:
    """Of each task, from what a fit on the first part says of the rest."""
    network = fit_distilled(lessons.take(first), config, trees, seed)
    rest = lessons.shown.take(~first)
    said = logits(network, rest)
    lines = [bent(said[:, t], rest.labels[:, t]) for t in range(rest.labels.shape[1])]
    return Calibration(*zip(*lines, strict=True))


if __name__ == "__main__":
    main()
