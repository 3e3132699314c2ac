"""Where a text classifier is right and where not, function by function, for its model card.

The sentences are those of ``tests/benchmarks/robustness`` (after Röttger et al., ACL 2021), as they
stand there without evasions, of the half that only reports. Nothing is learned from them.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from configs.load import load
from configs.schema import Section
from models.arrays import Vectors

SUITE = Path(__file__).parents[1] / "tests/benchmarks/robustness"
LANGUAGES = ("zh", "en")
FUNCTIONS = "functions"
_MARKED = re.compile(r"\[\[(.+?)\]\]")
_SLOT = re.compile(r"\{(\w+)\}")


class _Function(Section):
    name: str
    violation: bool
    templates: tuple[str, ...]


class _Suite(Section):
    language: Literal["zh", "en"]
    slots: dict[str, tuple[str, ...]]
    functions: tuple[_Function, ...]
    operators: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Sentence:
    """One sentence of a function, and whether it is a violation."""

    function: str
    text: str
    violation: bool


def sentences(path: Path) -> Iterator[Sentence]:
    """Sentences of every second template, each with all values of its slots."""
    suite = load(path, _Suite, environ={})
    for function in suite.functions:
        for template in function.templates[1::2]:
            names = list(dict.fromkeys(_SLOT.findall(template)))
            for values in itertools.product(*(suite.slots[name] for name in names)):
                filled = template.format(**dict(zip(names, values, strict=True)))
                yield Sentence(function.name, _MARKED.sub(r"\1", filled), function.violation)


def function_figures(
    score: Callable[[Sequence[str]], Vectors], suite: Path = SUITE
) -> dict[str, dict[str, Any]]:
    """By function: whether it is a violation, and by language the share judged rightly at one half.

    Args:
        score: texts to [N] probabilities of abuse.
        suite: folder of the suite; nothing is told where it is not there.
    """
    table: dict[str, dict[str, Any]] = {}
    for language in LANGUAGES:
        path = suite / f"{language}.yaml"
        told = list(sentences(path)) if path.exists() else []
        flagged = score([one.text for one in told]) >= 0.5 if told else np.zeros(0, bool)
        right = flagged == np.array([one.violation for one in told], bool)
        for name in dict.fromkeys(one.function for one in told):
            rows = np.array([one.function == name for one in told])
            violation = next(one.violation for one in told if one.function == name)
            row = table.setdefault(name, {"violation": violation})
            row[language] = {"right": float(right[rows].mean()), "n": int(rows.sum())}
    return table


def function_words(table: Mapping[str, Mapping[str, Any]]) -> str:
    """The table in Markdown; "" where nothing was told."""
    if not table:
        return ""
    rows = [
        f"| {name} | {'yes' if row['violation'] else 'no'} | "
        + " | ".join(_cell(row.get(language)) for language in LANGUAGES)
        + " |"
        for name, row in table.items()
    ]
    return (
        "\nShare judged rightly at one half, by function (abuse: the larger of `hate` and "
        "`harassment`), and sentences:\n\n"
        "| function | violation | Chinese | English |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _cell(found: Mapping[str, float] | None) -> str:
    return "" if found is None else f"{found['right']:.2f} of {found['n']}"
