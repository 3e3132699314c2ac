"""Judge a moderation bundle on a labelled file: the exported graph and the whole cascade.

``python -m training.evaluate moderation --bundle BUNDLE --data FILE --label LABEL_OR_GROUP``
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from configs.labels import load_labels
from configs.policy import load_policy
from embeddings.text_model import load_text_model
from models.arrays import Vectors
from models.bundle import BundleError
from serving.moderation.rulebook import RuleBook
from serving.moderation.verdict import Moderator
from training.classifier_metrics import label_figures
from training.report import print_report

POLICIES = Path(__file__).parents[1] / "configs/policies"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the options of ``training.evaluate moderation``."""
    command.add_argument("--bundle", type=Path, required=True)
    command.add_argument("--data", type=Path, required=True, help="Parquet or CSV: text, label 0/1")
    command.add_argument("--label", required=True, help="a label, or a group of labels")
    command.add_argument("--region", help="whose rules hold; the policy's if not given")


def main(options: argparse.Namespace) -> None:
    """Judge every row of the file and print the figures.

    Raises:
        SystemExit: the bundle, the file or the label cannot be used.
    """
    try:
        moderator = moderator_of(options.bundle)
        texts, targets = labelled_texts(options.data)
        scores = scores_of(moderator, options.label, texts, options.region)
    except (BundleError, ValueError, KeyError) as error:
        raise SystemExit(f"not evaluated: {error}") from error
    print_report(f"moderation/{options.label}", figures=label_figures(targets, scores))


def moderator_of(bundle: Path, policies: Path = POLICIES) -> Moderator:
    """The cascade as it serves: the bundle's model under the policy and rules of a folder.

    Raises:
        BundleError: the bundle is damaged or of another kind.
        ConfigError: policy or rules are refused.
    """
    labels = load_labels()
    model = load_text_model(bundle)
    policy = load_policy(policies / "default.yaml", labels, model.labels)
    return Moderator(labels, policy, RuleBook(policies / "rules", labels), model)


def labelled_texts(path: Path) -> tuple[list[str], Vectors]:
    """Texts and targets [N] of a Parquet or CSV file with the columns `text` and `label`.

    Raises:
        ValueError: a column lacks, a row has a picture, a label is not 0 or 1, or only one of them
            occurs.
    """
    rows = _rows(path)
    lacking = {"text", "label"} - set(rows[0] if rows else ())
    if lacking:
        raise ValueError(f"{path}: lacks the columns {sorted(lacking)}")
    pictured = next((n for n, row in enumerate(rows) if row.get("image")), None)
    if pictured is not None:
        raise ValueError(f"{path}: row {pictured} has a picture; moderation reads text only so far")
    targets = np.array([float(row["label"]) for row in rows], np.float32)
    if set(targets.tolist()) != {0.0, 1.0}:
        raise ValueError(f"{path}: label must be 0 and 1, both; found {sorted(set(targets))}")
    return [row["text"] or "" for row in rows], targets


def scores_of(
    moderator: Moderator, name: str, texts: Sequence[str], region: str | None = None
) -> Vectors:
    """[N] scores of a label, or of a group: its likeliest member's; 1 where a rule is broken.

    Raises:
        KeyError: no such label or group.
        ValueError: neither the model nor a rule finds any of the group's labels.
    """
    members = set(moderator.labels.members(name))
    if not members & moderator.findable():
        raise ValueError(f"{name}: neither the model nor a rule finds it")
    return np.array(
        [
            max(
                verdict.score
                for verdict in moderator.judge([text], region).labels
                if verdict.label in members
            )
            for text in tqdm(texts, desc="verdicts", unit="text")
        ],
        np.float32,
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return list(pq.read_table(path).to_pylist())
