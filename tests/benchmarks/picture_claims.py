"""Claims that stand in pictures: how many are found, and how many honest pictures are flagged.

    python -m tests.benchmarks.picture_claims --data ../shared/data [--part tuned] [--each 150]

Pictures are composed on benign product pictures in fonts, layouts and ways of hiding of one part;
`held_out` ones were used for nothing else. A picture is flagged when a rule is broken in the text
that is read in it. ``--cache FILE`` remembers what was read.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from tqdm import tqdm

from configs.labels import load_labels
from embeddings.ocr import TextLine, as_text, has_text, read
from models.arrays import Pixels
from models.canonical import read as canonical
from serving.moderation.rulebook import RuleBook
from training.datasets.picture_claims import ComposedPicture, Language, Part, composed
from training.datasets.pictures import POLICY_SET, labelled_pictures
from training.report import print_report

RULES = Path(__file__).parents[2] / "configs/policies/rules"
REGIONS: dict[Language, str] = {"zh": "CN", "en": "US"}
PLAIN = 60  # pictures without words


@dataclass(frozen=True)
class Outcome:
    """What became of one picture.

    Attributes:
        broken: labels of broken rules in the text that was read; `written`: in that on it.
        scouted: whether the quick look calls for reading. read_ms: of the reading.
    """

    picture: ComposedPicture
    text: str
    broken: frozenset[str]
    written: frozenset[str]
    scouted: bool
    read_ms: float

    @property
    def flagged(self) -> bool:
        """Whether the cascade finds something: what is not scouted is not read."""
        return self.scouted and bool(self.broken)


class Reader:
    """Reads pictures and remembers them in a file."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        known = json.loads(cache.read_text()) if cache and cache.exists() else {}
        self._known: dict[str, dict[str, Any]] = known

    def look(self, pixels: Pixels) -> tuple[list[TextLine], bool, float]:
        """Lines, whether the quick look calls for reading, and milliseconds of the reading."""
        key = hashlib.sha256(pixels.tobytes()).hexdigest()
        if key not in self._known:
            started = time.perf_counter()
            fresh = [asdict(line) for line in read(pixels)]
            took = 1000 * (time.perf_counter() - started)
            self._known[key] = {"lines": fresh, "scouted": has_text(pixels), "ms": took}
        found = self._known[key]
        lines = [
            TextLine(line["text"], tuple(line["box"]), line["confidence"])
            for line in found["lines"]
        ]
        return lines, bool(found["scouted"]), float(found["ms"])

    def close(self) -> None:
        """Write the file."""
        if self._cache:
            self._cache.write_text(json.dumps(self._known, ensure_ascii=False))


def main() -> None:
    """Compose, read, judge and print one JSON object."""
    options = _parser().parse_args()
    labelled = labelled_pictures(options.data / POLICY_SET)
    benign = [
        p for p, policy in zip(labelled.pictures, labelled.policies, strict=True) if not policy
    ]
    reader, book = Reader(options.cache), RuleBook(RULES, load_labels())
    figures: dict[str, Any] = {"part": options.part, "each": options.each}
    bars: dict[str, bool] = {}
    for language, region in REGIONS.items():
        outcomes = []
        for breaking in (True, False):
            for n in tqdm(
                range(options.each), desc=f"{language} {'claims' if breaking else 'honest'}"
            ):
                rng = np.random.default_rng((options.seed, n, breaking, region == "CN"))
                picture = composed(benign, language, options.part, breaking, rng)
                outcomes.append(judged(picture, reader, book, region))
        found = language_figures(outcomes)
        figures[language] = found
        bars[f"{language}: recall >= .9"] = found["recall"] >= 0.9
        bars[f"{language}: false positives <= 2 %"] = found["false_positives"] <= 0.02
        for outcome in outcomes if options.show else ():
            if outcome.flagged != (outcome.picture.label is not None):
                print(
                    outcome.picture.label,
                    outcome.picture.texts,
                    repr(outcome.text),
                    file=sys.stderr,
                )
    figures["plain"] = plain_figures(benign, reader, book, np.random.default_rng(options.seed))
    reader.close()
    sys.exit(not print_report("picture_claims", figures=figures, bars=bars, seed=options.seed))


def judged(picture: ComposedPicture, reader: Reader, book: RuleBook, region: str) -> Outcome:
    """Read a picture and apply the rules of a region."""
    lines, scouted, took = reader.look(picture.pixels)
    text = as_text(lines)
    return Outcome(
        picture,
        text,
        broken_in(text, book, region),
        broken_in("\n".join(picture.texts), book, region),
        scouted,
        took,
    )


def broken_in(text: str, book: RuleBook, region: str) -> frozenset[str]:
    """Labels of rules that a text breaks."""
    return frozenset(found.label for found in book.find(canonical(text), region) if found.violates)


def language_figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Recall and false positives, and recall by font, layout and hiding."""
    claims = [outcome for outcome in outcomes if outcome.picture.label is not None]
    honest = [outcome for outcome in outcomes if outcome.picture.label is None]
    return {
        "recall": _share([outcome.flagged for outcome in claims]),
        "right_label": _share([outcome.picture.label in outcome.broken for outcome in claims]),
        "recall_of_the_text_itself": _share([bool(outcome.written) for outcome in claims]),
        "recall_without_the_quick_look": _share([bool(outcome.broken) for outcome in claims]),
        "false_positives": _share([outcome.flagged for outcome in honest]),
        "by_font": _by(claims, "font"),
        "by_layout": _by(claims, "layout"),
        "by_hiding": _by(claims, "hiding"),
        "read_ms_p50": float(np.median([outcome.read_ms for outcome in outcomes])),
    }


def plain_figures(
    benign: Sequence[Pixels], reader: Reader, book: RuleBook, rng: Generator
) -> dict[str, float]:
    """Pictures as they are: how many are flagged, and how many the quick look spares reading."""
    chosen = [benign[row] for row in rng.permutation(len(benign))[:PLAIN]]
    looks = [reader.look(picture) for picture in tqdm(chosen, desc="plain")]
    texts = [as_text(lines) if scouted else "" for lines, scouted, _ in looks]
    return {
        "flagged": _share([bool(broken_in(text, book, "CN")) for text in texts]),
        "read": _share([scouted for _, scouted, _ in looks]),
    }


def _share(flags: Sequence[bool]) -> float:
    return float(np.mean(flags))


def _by(outcomes: Sequence[Outcome], what: str) -> dict[str, float]:
    names = sorted({getattr(outcome.picture, what) for outcome in outcomes})
    return {
        name: _share([o.flagged for o in outcomes if getattr(o.picture, what) == name])
        for name in names
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parts: tuple[Part, ...] = ("tuned", "held_out")
    parser.add_argument("--part", choices=parts, default="held_out")
    parser.add_argument("--each", type=int, default=150, help="claims, and honest ones, a language")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--show", action="store_true", help="print what came out wrong")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
