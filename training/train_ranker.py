"""Train the ranker of a feed bundle and write the bundle anew with it.

``python -m training.train_ranker --bundle TOWERS --dataset kuairand --data PATH --out BUNDLE``

Read top to bottom: impressions with everything as of their moment, a first fit whose predictions of
the newest tenth calibrate each task, a second fit on all, export with parity checks, the items'
half of the first layer, a new version of the bundle. Nothing is learned from after the end of what
the towers were trained on.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from configs.load import load
from configs.ranking import RankerConfig
from embeddings.feed_model import load_feed_model
from models.arrays import Mask
from models.bundle import BundleError
from models.tasks import TASKS
from training.calibration import platt
from training.datasets.load import DATASETS, load_dataset
from training.fit_ranker import RankerData, fit_ranker, logits
from training.pack_ranker import Fitted, pack_ranker
from training.ranking_study import VALID_SHARE, study_of
from training.report import peak_memory_gb, print_report

CONFIGS = Path("configs/ranker")


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
    seed = model.manifest.seed
    data = load_dataset(options.dataset, options.data, seed)
    study = study_of(model, data, config.data, facts.window[1], facts.window[1])
    everything = np.ones(len(study.shown), bool)
    told = config.data
    rates, tasks = study.rates(everything, told.least_reactions, told.rate_strength)
    examples = study.data(rates, tasks)
    first = first_share(examples, 1 - VALID_SHARE)
    calibration = calibrated(examples, first, config, seed)
    network = fit_ranker(examples, config.network, config.fit, seed)
    names = tuple(TASKS[t] for t in tasks)
    fitted = Fitted(network, calibration, rates, names, study.places.names, study.end_ms)
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
            "slopes": calibration[0],
            "offsets": calibration[1],
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
    return line


def first_share(examples: RankerData, share: float) -> Mask:
    """[E], true for the oldest `share` of the impressions."""
    return np.arange(len(examples)) < share * len(examples)


def calibrated(
    examples: RankerData, first: Mask, config: RankerConfig, seed: int
) -> tuple[list[float], list[float]]:
    """Slope and offset of each task, from what a fit on the first part says of the rest."""
    network = fit_ranker(examples.take(first), config.network, config.fit, seed)
    rest = examples.take(~first)
    said = logits(network, rest)
    pairs = [platt(said[:, t], rest.labels[:, t]) for t in range(rest.labels.shape[1])]
    return [slope for slope, _ in pairs], [offset for _, offset in pairs]


if __name__ == "__main__":
    main()
