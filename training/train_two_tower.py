"""Train the two-tower interest model and write one feed bundle.

``python -m training.train_two_tower --dataset kuairand --data PATH --out BUNDLE``

Read top to bottom: data, split, a first fit that chooses epochs and the linear gain on validation
users, a second fit on all that may be learned from, export with parity checks, vectors, index,
golden queries, bundle.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from configs.load import load
from configs.schema import TwoTowerConfig
from models.arrays import Vectors
from models.bundle import BundleError, DataFacts
from models.features import HistoryBatch, ItemFeatures, batch_histories, item_features
from training.datasets.interactions import Interactions
from training.datasets.load import DATASETS, fingerprint, load_dataset
from training.fit import Towers, fit
from training.log import Log, encode, histories
from training.pack import pack
from training.protocols import PROTOCOLS, Split, renumbered, unseen_users
from training.provenance import provenance
from training.ranking import sampled_cases
from training.report import peak_memory_gb, print_report
from training.torch_ranking import part_scores, rank_scores

CONFIGS = Path("configs/two_tower")
TUNING_USERS = 2_000
VALIDATION_USERS = 3_000  # enough to choose by; more only costs time


@dataclass(frozen=True)
class Choice:
    """What validation users decided.

    Attributes:
        epochs: after which the metric was best. gain: weight of the linear part.
        value: the metric then.
    """

    epochs: int
    gain: float
    value: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe and print one JSON object."""
    options = parser().parse_args(arguments)
    started = time.monotonic()
    torch.set_num_threads(options.threads)
    if options.out.exists():
        raise SystemExit(f"--out {options.out}: exists; bundles are immutable, name a new folder")
    config = load(options.config or CONFIGS / f"{options.dataset}.yaml", TwoTowerConfig)
    read_at = datetime.now(UTC)
    data = load_dataset(options.dataset, options.data, options.seed)
    split = split_of(data, options.protocol, options.seed)
    items, split = known_items(data, split)
    features = item_features(items.to_pylist())
    choice = choose(split, features, config, options.seed)
    towers = fit(split.final, features, config, options.seed, epochs=choice.epochs)
    towers.user.linear_gain.fill_(choice.gain)
    facts = data_facts(options, data, split.final, read_at)
    try:
        manifest, parity = pack(
            towers,
            items,
            tuning_histories(split.final, config.towers.history_length, options.seed),
            provenance(options.seed, facts),
            options.out,
        )
    except BundleError as error:
        raise SystemExit(str(error)) from error
    print_report(
        "train_two_tower",
        figures={
            "bundle": str(options.out),
            "version": manifest.version,
            "dataset": options.dataset,
            "protocol": options.protocol,
            "epochs": choice.epochs,
            "linear_gain": choice.gain,
            f"valid_{config.fit.metric}": choice.value,
            "parity": parity,
            "minutes": (time.monotonic() - started) / 60,
            "peak_memory_gb": peak_memory_gb(),
        },
        bars={"<= 15 min": time.monotonic() - started <= 900, "<= 4 GB": peak_memory_gb() <= 4},
        seed=options.seed,
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(prog="training.train_two_tower", description=__doc__)
    line.add_argument("--dataset", required=True, choices=DATASETS)
    line.add_argument("--data", type=Path, help="the dataset's folder")
    line.add_argument("--out", type=Path, required=True, help="folder of the new bundle")
    line.add_argument("--protocol", choices=["all", *sorted(PROTOCOLS)], default="all")
    line.add_argument("--seed", type=int, default=0)
    line.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    line.add_argument("--config", type=Path, help="default: configs/two_tower/<dataset>.yaml")
    return line


def split_of(data: Interactions, protocol: str, seed: int) -> Split:
    """The protocol's split; ``all`` chooses on a tenth of the users, then learns from everyone."""
    log = encode(data)
    user_ids, item_ids = data.users["user_id"].to_pylist(), data.items["item_id"].to_pylist()
    if protocol != "all":
        return PROTOCOLS[protocol](log, user_ids, item_ids, seed)
    held_out = unseen_users(log, user_ids, item_ids, seed)
    return Split(held_out.final, log, held_out.test, held_out.test)


def known_items(data: Interactions, split: Split) -> tuple[pa.Table, Split]:
    """The items that training may know, and the split in rows of these."""
    if split.cold is None:
        return data.items, split
    kept = np.flatnonzero(~split.cold)
    return data.items.take(kept), renumbered(split, kept)


def choose(split: Split, features: ItemFeatures, config: TwoTowerConfig, seed: int) -> Choice:
    """Fit once on the training part and keep the epoch and the gain that validation prefers."""
    best = Choice(config.fit.epochs, 0.0, -1.0)
    valid = sampled_cases(split.valid, VALIDATION_USERS, seed)

    def judge(epoch: int, towers: Towers) -> None:
        nonlocal best
        if epoch % config.fit.evaluate_every and epoch != config.fit.epochs:
            return
        learned, linear = part_scores(towers, valid, config.towers.history_length)
        for gain in config.linear.gains if config.linear.kind != "none" else (0.0,):
            scale = gain * unit_gain(learned, linear) if gain else 0.0
            ranking = rank_scores(learned + scale * linear, valid)
            if ranking.mean(config.fit.metric) > best.value:
                best = Choice(epoch, scale, ranking.mean(config.fit.metric))

    fit(split.train, features, config, seed, epochs=config.fit.epochs, after_epoch=judge)
    return best


def unit_gain(learned: Vectors, linear: Vectors) -> float:
    """What brings both parts to the same spread within a user."""
    return float(learned.std(1).mean() / max(linear.std(1).mean(), 1e-12))


def tuning_histories(log: Log, history_length: int, seed: int) -> HistoryBatch:
    """Histories of a sample of users, whose interests tune the index."""
    users = np.unique(log.user_rows)
    sample = np.random.default_rng(seed).choice(users, min(TUNING_USERS, len(users)), replace=False)
    return batch_histories(histories(log, sample), history_length)


def data_facts(
    options: argparse.Namespace, data: Interactions, log: Log, read_at: datetime
) -> DataFacts:
    """What the bundle says of its data."""
    return DataFacts(
        dataset=options.dataset,
        protocol=options.protocol,
        users=len(np.unique(log.user_rows)),
        items=log.item_count,
        events=len(log),
        window=(int(log.time_ms.min()), int(log.time_ms.max())),
        fingerprint=fingerprint(data),
        read_at=read_at,
    )


if __name__ == "__main__":
    main()
