"""Absolute-claim rules on real ad copy, on claims spliced into it, and on lawful uses.

    python -m tests.benchmarks.absolute_claims --data ../shared/data

Each file of ``absolute_claims_cases`` was written before the rules saw it. What they made of it
then stands in its ``first_run`` and says how well they do on wordings of others; today's figures,
after the rules were widened for it, only say that nothing was lost.
"""

import argparse
import csv
import gzip
import random
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.labels import load_labels
from configs.load import load
from configs.schema import Section
from models.canonical import read
from serving.moderation.rulebook import RuleBook
from serving.moderation.rules import Evidence
from training.evasion import CHINESE
from training.report import print_report

SEED = 93
SPLICES = 200
EVADED_SHARE = 0.25
EVASIONS = ("zero_width", "spacing", "punctuation", "traditional")
LABEL = "commerce/absolute_claim"
LATEST = ("round_10", "round_11", "round_12")
HERE = Path(__file__).parent
RULES = HERE.parents[1] / "configs/policies/rules"


class FirstRun(Section):
    """Shares when the rules first saw the wordings; None where nothing was measured."""

    found: float | None = None
    exempt_passed: float | None = None


class Wordings(Section):
    """Claims that must be found, and uses that must pass."""

    first_run: FirstRun = FirstRun()
    claims: tuple[str, ...]
    exempt: tuple[str, ...]


@dataclass(frozen=True)
class Splice:
    """A claim inside real copy: characters [start, end) of `text`."""

    text: str
    start: int
    end: int


def main() -> None:
    """Measure and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    book = RuleBook(RULES, load_labels())
    copy = ad_copy(arguments.data / "advertisegen-dev" / "ad_copy.csv.gz")
    figures = originals(book, copy)
    parts = parts_of(HERE / "absolute_claims_cases")
    for part, wordings in parts.items():
        if wordings.claims:
            figures |= spliced(book, copy, wordings, part, arguments.seed)
        figures |= lawful(book, wordings, part)
        figures |= {f"{part}_first_{k}": v for k, v in wordings.first_run if v is not None}
    latest = [wordings.first_run for part, wordings in parts.items() if part in LATEST]
    bars = {
        "flagged <= 1 % of originals": figures["flagged_share"] <= 0.01,
        "first runs of the last rounds: spliced claims found >= .95": _mean(
            run.found for run in latest
        )
        >= 0.95,
        "first runs of the last rounds: exempt uses passed >= .95": _mean(
            run.exempt_passed for run in latest
        )
        >= 0.95,
        "today: spliced claims found >= .95, every part": all(
            figures[f"{part}_found"] >= 0.95 for part in parts if parts[part].claims
        ),
        "today: exempt uses passed >= .95, every part": all(
            figures[f"{part}_exempt_passed"] >= 0.95 for part in parts
        ),
        ">= 60 exempt cases": sum(figures[f"{part}_exempt"] for part in parts) >= 60,
    }
    sys.exit(not print_report("absolute_claims", figures=figures, bars=bars, seed=arguments.seed))


def parts_of(folder: Path) -> dict[str, Wordings]:
    """The wordings of every file, by its name."""
    return {path.stem: load(path, Wordings, environ={}) for path in sorted(folder.glob("*.yaml"))}


def _mean(shares: Iterable[float | None]) -> float:
    known = [share for share in shares if share is not None]
    return sum(known) / len(known)


def ad_copy(path: Path) -> list[str]:
    """Texts of real apparel adverts."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [row["ad_text"] for row in csv.DictReader(file)]


def claims_in(book: RuleBook, text: str) -> list[Evidence]:
    """Findings that count as absolute claims."""
    found = book.find(read(text), "CN")
    return [evidence for evidence in found if evidence.label == LABEL and evidence.violates]


def originals(book: RuleBook, copy: list[str]) -> dict[str, Any]:
    """How many unchanged texts are flagged, and every flag."""
    flags = [
        {"rule": evidence.rule, "around": text[max(0, evidence.span[0] - 8) : evidence.span[1] + 8]}
        for text in copy
        for evidence in claims_in(book, text)
    ]
    flagged = sum(bool(claims_in(book, text)) for text in copy)
    perfect = sum("完美" in text for text in copy)
    return {
        "originals": len(copy),
        "originals_with_完美": perfect,
        "flagged": flagged,
        "flagged_share": flagged / len(copy),
        "flags": flags,
    }


def spliced(
    book: RuleBook, copy: list[str], wordings: Wordings, part: str, seed: int
) -> dict[str, Any]:
    """Share of spliced claims with a finding that overlaps the claim itself."""
    rng = random.Random(f"{seed}:{part}")
    missed = []
    for n in range(SPLICES):
        claim = wordings.claims[n % len(wordings.claims)]
        splice = splice_claim(rng.choice(copy), claim, rng)
        spans = [evidence.span for evidence in claims_in(book, splice.text)]
        if not any(start < splice.end and splice.start < end for start, end in spans):
            missed.append(splice.text[splice.start : splice.end])
    return {
        f"{part}_claims": len(wordings.claims),
        f"{part}_found": 1 - len(missed) / SPLICES,
        f"{part}_missed": sorted(set(missed)),
    }


def splice_claim(text: str, claim: str, rng: random.Random) -> Splice:
    """Put a claim, sometimes evaded, between two clauses of a text."""
    if rng.random() < EVADED_SHARE:
        claim = CHINESE[rng.choice(EVASIONS)](claim, rng)
    places = [match.end() for match in re.finditer("[,，。!！;；]", text)] or [len(text)]
    place = rng.choice(places)
    return Splice(f"{text[:place]}{claim}，{text[place:]}", place, place + len(claim))


def lawful(book: RuleBook, wordings: Wordings, part: str) -> dict[str, Any]:
    """Share of lawful uses without a violation."""
    stopped = {
        text: [evidence.rule for evidence in found]
        for text in wordings.exempt
        if (found := claims_in(book, text))
    }
    return {
        f"{part}_exempt": len(wordings.exempt),
        f"{part}_exempt_passed": 1 - len(stopped) / len(wordings.exempt),
        f"{part}_exempt_stopped": stopped,
    }


if __name__ == "__main__":
    main()
