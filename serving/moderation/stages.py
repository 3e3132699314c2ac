"""The stages of the cascade: each looks at some parts and tells what it found."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from embeddings.fingerprint import Fingerprint
from embeddings.ocr import as_text
from embeddings.text_model import CONTENT_VALUES
from models.arrays import Vectors
from models.canonical import Channels, read
from models.modalities import Modality
from serving.moderation.decoding import Picture
from serving.moderation.findings import Duplicate, Finding, Found, likeliest
from serving.moderation.rules import Evidence
from serving.moderation.sight import Sight, box_of, time_of

Rules = Callable[[Channels], Sequence[Evidence]]  # those that hold somewhere: what they find
NO_USE = CONTENT_VALUES.index("no_use")


class TextScores(Protocol):
    """Scores texts; an ``embeddings.text_model.TextModel`` in service."""

    @property
    def version(self) -> str:
        """Of the model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """K names, in the order of the scores."""

    def judged(self, texts: Sequence[str]) -> tuple[Vectors, Vectors]:
        """Calibrated probabilities [B, K] and content values [B, 3] of B texts."""


class Banks(Protocol):
    """Known content; a ``banks.BankBook`` in service."""

    def texts(self, source: str, reading: Channels) -> Sequence[Duplicate]:
        """Entries that a text is a copy of."""

    def pictures(self, source: str, known: Callable[[], Fingerprint]) -> Sequence[Duplicate]:
        """Entries that a picture is a copy of; it is fingerprinted only where there are any."""

    def labels(self) -> frozenset[str]:
        """Labels of all entries."""


def read_into(readings: list[Channels], texts: Sequence[str]) -> Found:
    """Read texts for the stages that follow; that alone finds nothing."""
    readings.extend(map(read, texts))
    return Found()


def known_texts(banks: Banks, readings: Sequence[Channels]) -> Found:
    """Copies of texts that are known."""
    copies = [banks.texts(f"text:{n}", reading) for n, reading in enumerate(readings)]
    return Found(duplicates=tuple(one for of in copies for one in of))


def known_pictures(banks: Banks, sight: Sight, pictures: Sequence[Picture]) -> Found:
    """Copies of pictures that are known."""
    copies = [
        banks.pictures(f"picture:{n}", partial(sight.fingerprint, picture))
        for n, picture in enumerate(pictures)
    ]
    return Found(duplicates=tuple(one for of in copies for one in of))


def broken_rules(rules: Rules, readings: Sequence[Channels]) -> Found:
    """What rules find in texts."""
    return Found(
        findings=tuple(
            Finding(f"text:{n}", evidence)
            for n, reading in enumerate(readings)
            for evidence in rules(reading)
        )
    )


def scored(model: TextScores, modality: Modality, texts: Sequence[str]) -> Found:
    """Of each label the likeliest text's probability; of captions, how useful the best one is."""
    scores, values = model.judged(texts)
    likeliest_text = dict(zip(model.labels, scores.max(axis=0).tolist(), strict=True))
    best = values[values[:, NO_USE].argmin()].tolist()
    value = dict(zip(CONTENT_VALUES, best, strict=True)) if modality == "text" else None
    return Found({modality: likeliest_text}, content_value=value)


def seen(sight: Sight, pictures: Sequence[Picture]) -> Found:
    """Of each label the likeliest picture's probability."""
    return Found({"image": likeliest(map(sight.scores, pictures))})


def codes(sight: Sight, pictures: Sequence[Picture], of_code: Callable[[str], Evidence]) -> Found:
    """QR codes in pictures; what they say, where they can be read, is the evidence."""
    return Found(
        findings=tuple(
            Finding(f"picture:{n}", of_code(code.payload or ""), code.box, code.time_s)
            for n, picture in enumerate(pictures)
            for code in sight.codes(picture)
        )
    )


def text_in(sight: Sight, pictures: Sequence[Picture], rules: Rules, model: TextScores) -> Found:
    """What rules and text model find in the text that stands in pictures."""
    found = Found()
    for n, picture in enumerate(pictures):
        if lines := sight.lines(picture):
            text = as_text(lines)
            places = tuple(
                Finding(
                    f"ocr:{n}",
                    evidence,
                    box_of(lines, evidence.span),
                    time_of(lines, evidence.span),
                )
                for evidence in rules(read(text))
            )
            found = found.joined(Found(scored(model, "ocr", [text]).scores, places))
    return found
