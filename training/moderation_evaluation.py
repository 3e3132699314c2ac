"""Judge a moderation bundle on a labelled file: the exported graph and the whole cascade.

``python -m training.evaluate moderation --bundle BUNDLE --data FILE --label LABEL_OR_GROUP``
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from configs.labels import load_labels
from configs.policy import load_policies
from embeddings.picture_model import load_picture_model
from embeddings.text_model import KIND, load_text_model
from models.arrays import Vectors
from models.bundle import BundleError, open_bundle
from serving.moderation.decoding import decode
from serving.moderation.eyes import PackagedEyes
from serving.moderation.findings import Content
from serving.moderation.picture_formats import MediaError
from serving.moderation.rulebook import RuleBook
from serving.moderation.sight import Sight
from serving.moderation.verdict import Moderator
from training.classifier_metrics import label_figures
from training.report import print_report

POLICIES = Path(__file__).parents[1] / "configs/policies"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the options of ``training.evaluate moderation``."""
    command.add_argument("--bundle", type=Path, required=True)
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        help="Parquet or CSV: text, label 0/1, image (bytes) if any",
    )
    command.add_argument("--label", required=True, help="a label, or a group of labels")
    command.add_argument("--region", help="whose rules hold; the policy's if not given")


def main(options: argparse.Namespace) -> None:
    """Judge every row of the file and print the figures.

    Raises:
        SystemExit: the bundle, the file or the label cannot be used.
    """
    try:
        moderator = moderator_of(options.bundle)
        contents, targets = labelled_contents(options.data)
        scores = scores_of(moderator, options.label, contents, options.region)
    except (BundleError, ValueError, KeyError) as error:
        raise SystemExit(f"not evaluated: {error}") from error
    print_report(f"moderation/{options.label}", figures=label_figures(targets, scores))


def moderator_of(bundle: Path, policies: Path = POLICIES) -> Moderator:
    """The cascade as it serves: the bundle's models under the policy and rules of a folder.

    Raises:
        BundleError: the bundle is damaged or of another kind.
        ConfigError: policy or rules are refused.
    """
    labels = load_labels()
    model = load_text_model(bundle)
    eyes = PackagedEyes(load_picture_model(open_bundle(bundle, KIND)))
    rulings = load_policies(policies, labels, (*model.labels, *eyes.labels))
    book = RuleBook(policies / "rules", labels)
    return Moderator(labels, rulings, book, model, sight=Sight(eyes))


def labelled_contents(path: Path) -> tuple[list[Content], Vectors]:
    """Contents and targets [N] of a Parquet or CSV file with the columns `text` and `label`.

    A Parquet file may have a column `image` of picture files as bytes.

    Raises:
        ValueError: a column lacks, a picture cannot be decoded, a label is not 0 or 1, or only one
            of them occurs.
    """
    rows = _rows(path)
    lacking = {"text", "label"} - set(rows[0] if rows else ())
    if lacking:
        raise ValueError(f"{path}: lacks the columns {sorted(lacking)}")
    targets = np.array([float(row["label"]) for row in rows], np.float32)
    if set(targets.tolist()) != {0.0, 1.0}:
        raise ValueError(f"{path}: label must be 0 and 1, both; found {sorted(set(targets))}")
    return [_content(row, f"{path}: row {n}") for n, row in enumerate(rows)], targets


def scores_of(
    moderator: Moderator, name: str, contents: Sequence[Content], region: str | None = None
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
                for verdict in moderator.judge(one.texts, region, one.pictures).labels
                if verdict.label in members
            )
            for one in tqdm(contents, desc="verdicts", unit="item")
        ],
        np.float32,
    )


def _content(row: Mapping[str, Any], place: str) -> Content:
    texts = (row["text"],) if row["text"] else ()
    if not row.get("image"):
        return Content(texts or ("",))
    if not isinstance(row["image"], bytes):
        raise ValueError(f"{place}: image must be the bytes of a file, in Parquet")
    try:
        return Content(texts, (decode(row["image"]),))
    except MediaError as error:
        raise ValueError(f"{place}: its picture is not judged: {error}") from error


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return list(pq.read_table(path).to_pylist())
