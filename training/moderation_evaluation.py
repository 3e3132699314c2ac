"""Judge a text classifier on a labelled file, through its exported graph.

python -m training.moderation_evaluation --bundle BUNDLE --data FILE --label LABEL_OR_GROUP
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from configs.labels import Labels, load_labels
from embeddings.text_scores import TextScorer
from models.arrays import Vectors
from training.classifier_metrics import label_figures
from training.report import print_report

_BATCH = 256


def main(arguments: Sequence[str] | None = None) -> None:
    """Score the file and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--label", required=True)
    options = parser.parse_args(arguments)
    texts, targets = labelled_texts(options.data)
    scores = scores_of(TextScorer(options.bundle), load_labels(), options.label, texts)
    print_report(f"moderation/{options.label}", figures=label_figures(targets, scores))


def labelled_texts(path: Path) -> tuple[list[str], Vectors]:
    """Texts and targets [N] of a Parquet or CSV file with the columns `text` and `label`.

    Raises:
        ValueError: a column lacks, a label is not 0 or 1, or only one of them occurs.
    """
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = pq.read_table(path).to_pylist()
    lacking = {"text", "label"} - set(rows[0] if rows else ())
    if lacking:
        raise ValueError(f"{path}: lacks the columns {sorted(lacking)}")
    targets = np.array([float(row["label"]) for row in rows], np.float32)
    if set(targets.tolist()) != {0.0, 1.0}:
        raise ValueError(f"{path}: label must be 0 and 1, both; found {sorted(set(targets))}")
    return [row["text"] or "" for row in rows], targets


def scores_of(scorer: TextScorer, labels: Labels, name: str, texts: Sequence[str]) -> Vectors:
    """[N] scores of a label, or of a group: its likeliest member's.

    Raises:
        ValueError: the classifier scores none of the group's labels.
    """
    columns = [
        scorer.labels.index(label) for label in labels.members(name) if label in scorer.labels
    ]
    if not columns:
        raise ValueError(f"the classifier does not score {name}; it scores {scorer.labels}")
    batches = [texts[first : first + _BATCH] for first in range(0, len(texts), _BATCH)]
    return np.concatenate([scorer.scores(batch)[:, columns].max(1) for batch in batches])


if __name__ == "__main__":
    main()
