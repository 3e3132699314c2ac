"""The functional suite as cases: templates filled with their slots, and their evasions."""

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from configs.load import load
from configs.schema import Section
from tests.benchmarks.robustness.operators import HELD_OUT, SEEN

SEED = 20_21
EVASIONS_PER_OPERATOR = 40
MARKED = re.compile(r"\[\[(.+?)\]\]")
SLOT = re.compile(r"\{(\w+)\}")
Half = Literal["dev", "test"]


class Function(Section):
    """One thing a classifier must get right: sentences, and whether they are violations."""

    name: str
    violation: bool
    templates: tuple[str, ...]


class Operators(Section):
    """Names of the evasion operators, by whether training may use them."""

    seen_in_training: tuple[str, ...]
    held_out: tuple[str, ...]


class Suite(Section):
    """All functions of one language."""

    language: Literal["zh", "en"]
    slots: dict[str, tuple[str, ...]]
    functions: tuple[Function, ...]
    operators: Operators


@dataclass(frozen=True)
class Case:
    """One sentence of the suite.

    Attributes:
        clean: the sentence before evasion, equal to `text` where `operator` is empty.
        operator: the evasion operator applied to the marked words, or "".
        half: "dev" may be looked at while a model is built, "test" only to report.
    """

    language: str
    function: str
    text: str
    violation: bool
    half: Half
    operator: str
    clean: str


def cases(language: str) -> list[Case]:
    """Every case of a language: functions first, then evasions of violations."""
    suite = load(Path(__file__).with_name(f"{language}.yaml"), Suite, environ={})
    marked = list(marked_cases(suite))
    plain = [
        Case(language, function.name, MARKED.sub(r"\1", text), function.violation, half, "", "")
        for function, text, half in marked
    ]
    return plain + list(evasions(suite, marked))


def marked_cases(suite: Suite) -> Iterator[tuple[Function, str, Half]]:
    """Filled templates with their marks."""
    for function in suite.functions:
        for position, template in enumerate(function.templates):
            half: Half = "test" if position % 2 else "dev"
            for text in filled(template, suite.slots):
                yield function, text, half


def filled(template: str, slots: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """The template with every combination of its slots' values."""
    names = list(dict.fromkeys(SLOT.findall(template)))
    for values in itertools.product(*(slots[name] for name in names)):
        yield template.format(**dict(zip(names, values, strict=True)))


def evasions(suite: Suite, marked: list[tuple[Function, str, Half]]) -> Iterator[Case]:
    """For each operator a fixed sample of violations whose marked words it really rewrites."""
    operators = SEEN[suite.language] | HELD_OUT[suite.language]
    sources = [entry for entry in marked if entry[0].violation and MARKED.search(entry[1])]
    for name, operator in operators.items():
        rng = random.Random(f"{SEED}:{suite.language}:{name}")
        found = 0
        for function, text, half in rng.sample(sources, len(sources)):
            clean = MARKED.sub(r"\1", text)
            evaded = MARKED.sub(lambda m: operator(m[1], rng), text)  # noqa: B023
            if evaded != clean and found < EVASIONS_PER_OPERATOR:
                found += 1
                yield Case(suite.language, function.name, evaded, True, half, name, clean)
