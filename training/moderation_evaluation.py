"""Judge a moderation bundle on a labelled file: the exported graph and the whole cascade.

``python -m training.evaluate moderation --bundle BUNDLE --data FILE --label LABEL_OR_GROUP``
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from embeddings.picture_model import PictureModel
from embeddings.text_model import CONTENT_VALUES, TextModel
from models.arrays import Vectors
from models.bundle import BundleError
from serving.moderation.findings import Content
from serving.moderation.opening import Opened, open_moderator
from serving.moderation.verdict import Moderator
from training.classifier_metrics import label_figures
from training.datasets.labelled_files import LabelledFile, labelled_file
from training.report import print_report

POLICIES = Path(__file__).parents[1] / "configs/policies"
Scorer = Callable[[Content], float]
_TOLD = 5  # rows left out whose reason is told


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the options of ``training.evaluate moderation``."""
    command.add_argument("--bundle", type=Path, required=True)
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        help="Parquet or CSV: label 0/1, text, image (bytes, base64 or path); one of both may lack",
    )
    command.add_argument(
        "--label",
        required=True,
        help="a label, a group of labels, a policy of the picture model, or a content value",
    )
    command.add_argument("--region", help="whose rules hold; the policy's if not given")


def main(options: argparse.Namespace) -> None:
    """Judge every row of the file and print the figures.

    Raises:
        SystemExit: the bundle, the file or the label cannot be used.
    """
    try:
        scorer = scorer_of(open_moderator(options.bundle, POLICIES), options.label, options.region)
        figures = judged(labelled_file(options.data), scorer)
    except KeyError as error:
        raise SystemExit(f"not evaluated: {error.args[0]}") from error
    except (BundleError, ValueError, OSError) as error:
        raise SystemExit(f"not evaluated: {error}") from error
    print_report(f"moderation/{options.label}", figures=figures)


def scorer_of(opened: Opened, name: str, region: str | None = None) -> Scorer:
    """What scores content for a name.

    Of a label or group: its likeliest member's score by the cascade, 1 where a rule is broken. Of a
    policy of the picture model (``weapon``): the likeliest picture's. Of a content value
    (``strong_use``): the text's.

    Raises:
        KeyError: nothing is called so; names all that is.
        ValueError: neither the model nor a rule finds any of the group's labels.
    """
    policies = tuple(opened.pictures.policies) if opened.pictures else ()
    if name in CONTENT_VALUES:
        return partial(_value, opened.texts, CONTENT_VALUES.index(name))
    if opened.pictures and name in policies:
        return partial(_policy, opened.pictures, policies.index(name))
    labels = opened.moderator.labels
    if name not in {*labels.labels, *labels.groups}:
        known = [*labels.labels, *labels.groups, *policies, *CONTENT_VALUES]
        raise KeyError(f"no label or group {name!r}, nor a picture policy; known: {known}")
    members = frozenset(labels.members(name))
    if not members & opened.moderator.findable():
        raise ValueError(f"{name}: neither the model nor a rule finds it")
    return partial(_likeliest, opened.moderator, members, region)


def judged(file: LabelledFile, scorer: Scorer) -> dict[str, float]:
    """Figures over all rows that can be judged; `left_out` counts the others, if any.

    Raises:
        ValueError: of one label no row is left; names why the first rows were left out.
    """
    scores = np.full(len(file), np.nan, np.float32)
    reasons: list[str] = []
    for n in tqdm(range(len(file)), desc="verdicts", unit="item"):
        try:
            scores[n] = scorer(file.content(n))
        except ValueError as error:
            reasons.append(f"row {file.places[n]} is left out: {error}")
    for reason in reasons[:_TOLD]:
        print(f"{file.path}: {reason}", file=sys.stderr)
    kept = ~np.isnan(scores)
    if len(set(file.targets[kept].tolist())) < 2:
        raise ValueError(f"{file.path}: too few rows can be judged: {reasons[:_TOLD]}")
    figures = label_figures(file.targets[kept], scores[kept])
    left_out = file.unlabelled + len(reasons)
    return figures | ({"left_out": float(left_out)} if left_out else {})


def _likeliest(
    moderator: Moderator, members: frozenset[str], region: str | None, content: Content
) -> float:
    verdict = moderator.judge(content.texts, region, content.pictures)
    return max(one.score for one in verdict.labels if one.label in members)


def _policy(model: PictureModel, place: int, content: Content) -> float:
    frames = [frame for picture in content.pictures for frame in picture.frames]
    return float(model.look(frames).policies[:, place].max()) if frames else 0.0


def _value(model: TextModel, place: int, content: Content) -> float:
    values: Vectors = model.content_values(list(content.texts))
    return float(values[:, place].max(initial=0.0))
