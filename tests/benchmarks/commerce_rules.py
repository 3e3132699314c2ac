"""The commerce rules on wordings that were written before the rules saw them, label by label.

    python -m tests.benchmarks.commerce_rules

Each file of ``commerce_rules_cases`` holds claims by label and texts that break no rule. What the
rules made of them at first stands in ``first_run``; they have been widened since.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from pydantic import Field

from configs.labels import load_labels
from configs.load import load
from configs.schema import Section
from models.canonical import read
from serving.moderation.rulebook import RuleBook
from training.report import print_report

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "configs/policies/rules"


class Batch(Section):
    """Wordings of one day.

    Attributes:
        claims: label -> texts that break a rule of that label. clean: texts that break none.
        first_run: label, or ``clean`` -> share that came out right when the rules first saw them.
    """

    region: str
    first_run: dict[str, float] = Field(default_factory=dict)
    claims: dict[str, tuple[str, ...]]
    clean: tuple[str, ...]


def main() -> None:
    """Measure and print the report."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    book = RuleBook(RULES, load_labels())
    rows = [
        row
        for path in sorted((HERE / "commerce_rules_cases").glob("*.yaml"))
        for row in rows_of(book, path.stem, load(path, Batch, environ={}))
    ]
    bars = {
        "today: every label found >= .95": all(
            row["right"] >= 0.95 for row in rows if row["label"] != "clean"
        ),
        "today: clean texts passed >= .95": all(
            row["right"] >= 0.95 for row in rows if row["label"] == "clean"
        ),
    }
    sys.exit(not print_report("commerce_rules", rows=rows, bars=bars, seed=0))


def rows_of(book: RuleBook, name: str, batch: Batch) -> list[dict[str, Any]]:
    """Of each label the share found, and of clean texts the share that breaks no rule."""
    outcomes = {
        label: {text: label in broken(book, text, batch.region) for text in texts}
        for label, texts in batch.claims.items()
    }
    outcomes["clean"] = {text: not broken(book, text, batch.region) for text in batch.clean}
    return [
        {
            "batch": name,
            "label": label,
            "n": len(right),
            "first": batch.first_run.get(label),
            "right": sum(right.values()) / len(right),
            "wrong": [text for text, well in right.items() if not well],
        }
        for label, right in outcomes.items()
    ]


def broken(book: RuleBook, text: str, region: str) -> set[str]:
    """Labels of the rules that a text breaks."""
    return {evidence.label for evidence in book.find(read(text), region) if evidence.violates}


if __name__ == "__main__":
    main()
