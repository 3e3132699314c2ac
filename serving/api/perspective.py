"""Perspective's attributes on our labels; its own service ends on 2026-12-31."""

import re
from collections.abc import Iterator
from typing import Any

from serving.api.moderation_schemas import PerspectiveBody
from serving.moderation.verdict import Verdict

ATTRIBUTES = {
    "TOXICITY": ("harassment", "hate"),
    "INSULT": ("harassment",),
    "IDENTITY_ATTACK": ("hate",),
    "PROFANITY": ("community/vulgar",),
}
LANGUAGES = ("zh", "en")
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


def language_of(tag: str) -> str:
    """The language of a tag: zh of zh-Hant."""
    return tag.split("-", maxsplit=1)[0].lower()


def unknown_attributes(body: PerspectiveBody) -> Iterator[tuple[str, list[str]]]:
    """Attributes that are asked for and not scored, each with those that are."""
    for name in body.requested_attributes:
        if name not in ATTRIBUTES:
            yield name, list(ATTRIBUTES)


def analysed(body: PerspectiveBody, verdict: Verdict) -> dict[str, Any]:
    """The answer: of each attribute the likeliest of its labels, over the whole comment."""
    scores = {one.label: one.score for one in verdict.labels}
    values = {
        name: max(scores.get(label, 0.0) for label in ATTRIBUTES[name])
        for name in body.requested_attributes
    }
    detected = ["zh" if _IDEOGRAPH.search(body.comment.text) else "en"]
    answer: dict[str, Any] = {
        "attributeScores": {
            name: _scored(value, len(body.comment.text))
            for name, value in values.items()
            if value >= body.requested_attributes[name].score_threshold
        },
        "languages": list(body.languages) or detected,
        "detectedLanguages": detected,
    }
    if body.client_token is not None:
        answer["clientToken"] = body.client_token
    return answer


def _scored(value: float, characters: int) -> dict[str, Any]:
    score = {"value": value, "type": "PROBABILITY"}
    return {
        "spanScores": [{"begin": 0, "end": characters, "score": score}],
        "summaryScore": score,
    }
