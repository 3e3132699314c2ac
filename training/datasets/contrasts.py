"""Training sentences by template: insults beside their negations, quotations and look-alikes.

Models trained on collected posts learn words, not what is said with them (Röttger et al., ACL
2021). These sentences hold the words fixed and change the meaning.
"""

import random
import re
from pathlib import Path
from typing import Literal

from configs.load import load
from configs.schema import Section
from training.datasets.moderation import LabelledContent, content

_SLOT = re.compile(r"\{(\w+)\}")
_HELD_EVERY = 5  # templates; one of them calibrates
Part = Literal["every", "fit", "calibration"]
_ENDINGS = {"zh": ("", "。", "！", "，真的", "……"), "en": ("", ".", "!", " lol", "...")}


class Contrasts(Section):
    """Templates of one language, by whether what they say is abuse."""

    language: Literal["zh", "en"]
    slots: dict[str, tuple[str, ...]]
    violation: tuple[str, ...]
    benign: tuple[str, ...]


def contrasts(
    language: str, rows: int, seed: int, part: Part = "every", source: str | None = None
) -> LabelledContent:
    """Sample `rows` sentences, half of them violations; each template equally often.

    Args:
        language: zh or en.
        rows: how many.
        seed: of the draws.
        part: which templates; the fifth of "calibration" stands in "fit" nowhere.
        source: name of the source; None is the language's own.
    """
    path = Path(__file__).with_name(f"contrasts_{language}.yaml")
    grammar = load(path, Contrasts, environ={})
    rng = random.Random(f"{seed}:{language}")
    texts: list[str] = []
    abuse: list[float] = []
    hate: list[float] = []
    for n in range(rows):
        templates = _of(part, grammar.violation if n % 2 else grammar.benign)
        template = templates[(n // 2) % len(templates)]
        sentence = _filled(template, grammar.slots, rng)
        texts.append(sentence + rng.choice(_ENDINGS[language]))
        abuse.append(float(n % 2))
        hate.append(float(n % 2 and ("{group}" in template or "{slang}" in template)))
    return content(texts, source or f"contrasts_{language}", {"harassment": abuse, "hate": hate})


def _of(part: Part, templates: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        template
        for n, template in enumerate(templates)
        if part == "every" or (part == "calibration") == (n % _HELD_EVERY == _HELD_EVERY - 1)
    )


def _filled(template: str, slots: dict[str, tuple[str, ...]], rng: random.Random) -> str:
    return _SLOT.sub(lambda slot: rng.choice(slots[slot[1]]), template)
