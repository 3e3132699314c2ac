"""The functional suite through the exported model.

    python -m tests.benchmarks.robustness --bundle BUNDLE

Abuse is the larger of the scores for hate and harassment; a case is flagged at one half. Bars are
judged on the suite's test half, at whose results nothing was adjusted.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from embeddings.text_model import TextModel, load_text_model
from models.arrays import Vectors
from tests.benchmarks.robustness.operators import HELD_OUT
from tests.benchmarks.robustness.suite import SEED, Case, cases
from training.report import print_report

THRESHOLD = 0.5
ABUSE = ("hate", "harassment")
_BATCH = 256


def main() -> None:
    """Score both languages and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--half", choices=["dev", "test"], default="test")
    arguments = parser.parse_args()
    score = abuse_scorer(load_text_model(arguments.bundle))
    figures: dict[str, Any] = {"half": arguments.half}
    bars: dict[str, bool] = {}
    for language in ("zh", "en"):
        chosen = [case for case in cases(language) if case.half == arguments.half]
        found = judged(chosen, score([case.text for case in chosen]), score)
        figures[language] = found
        bars[f"{language}: AUROC >= .80"] = found["auroc"] >= 0.80
        bars[f"{language}: false positives <= 25 %"] = found["false_positive_rate"] <= 0.25
        unseen = {name: found["operators"][name]["of_clean"] for name in HELD_OUT[language]}
        bars[f"{language}: unseen operators >= .85 of clean"] = min(unseen.values()) >= 0.85
    sys.exit(not print_report("robustness", figures=figures, bars=bars, seed=SEED))


def abuse_scorer(model: TextModel) -> Callable[[list[str]], Vectors]:
    """Texts -> [N] scores of the group abuse."""
    columns = [model.labels.index(label) for label in ABUSE]

    def score(texts: list[str]) -> Vectors:
        parts = [
            model.scores(texts[first : first + _BATCH])[:, columns].max(1)
            for first in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(parts)

    return score


def judged(
    chosen: list[Case], scores: Vectors, score: Callable[[list[str]], Vectors]
) -> dict[str, Any]:
    """AUROC and rates over plain cases; recall under each operator beside that of clean text."""
    violation = np.array([case.violation for case in chosen])
    plain = np.array([not case.operator for case in chosen])
    flagged = scores >= THRESHOLD
    return {
        "cases": len(chosen),
        "auroc": float(roc_auc_score(violation[plain], scores[plain])),
        "recall": float(flagged[plain & violation].mean()),
        "false_positive_rate": float(flagged[plain & ~violation].mean()),
        "functions": by_function(chosen, flagged, plain),
        "operators": by_operator(chosen, flagged, score),
    }


def by_function(chosen: list[Case], flagged: Any, plain: Any) -> dict[str, dict[str, float]]:
    """Of each function, the share of cases judged rightly."""
    table: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(case.function for case in chosen):
        rows = np.array([case.function == name for case in chosen]) & plain
        expected = next(case.violation for case in chosen if case.function == name)
        right = float((flagged[rows] == expected).mean())
        table[name] = {"violation": expected, "right": right, "n": int(rows.sum())}
    return table


def by_operator(
    chosen: list[Case], flagged: Any, score: Callable[[list[str]], Vectors]
) -> dict[str, dict[str, float]]:
    """Recall of evaded cases, and the share it is of their clean originals' recall."""
    table = {}
    for name in dict.fromkeys(case.operator for case in chosen if case.operator):
        rows = np.flatnonzero([case.operator == name for case in chosen])
        clean = score([chosen[row].clean for row in rows]) >= THRESHOLD
        recall, before = float(flagged[rows].mean()), float(clean.mean())
        share = recall / before if before else 0.0
        table[name] = {"recall": recall, "clean": before, "of_clean": share, "n": len(rows)}
    return table


if __name__ == "__main__":
    main()
