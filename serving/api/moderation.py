"""Routes of moderation queues: our own shape, OpenAI's and Perspective's."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request

from serving.api.access import PERSPECTIVE_PATH
from serving.api.errors import ApiError, Detail, invalid
from serving.api.json_route import JsonRoute
from serving.api.moderation_schemas import (
    ModerateAnswer,
    ModerateBody,
    ModerationsAnswer,
    ModerationsBody,
    PerspectiveAnswer,
    PerspectiveBody,
    PicturePart,
    TextPart,
)
from serving.api.perspective import LANGUAGES, analysed, language_of, unknown_attributes
from serving.api.request_log import FACTS, ID
from serving.api.services import Services
from serving.moderation.desk import ModerationDesk
from serving.moderation.rendering import decision
from serving.moderation.verdict import Moderator, Verdict

CHARACTERS_LIMIT = 40_000  # of all texts of one request
ERRORS = ((503, "no moderation bundle is published"),)


def moderation_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/moderate``, ``/v1/moderations`` and ``/v1alpha1/comments:analyze``."""

    async def judged(
        desk: ModerationDesk, items: Sequence[Sequence[str]], region: str | None, request: Request
    ) -> list[Verdict]:
        refuse_too_much(items)
        verdicts = await desk.judge(items, region)
        request.scope[FACTS].update(suggestions=[verdict.suggestion for verdict in verdicts])
        return verdicts

    async def moderate(body: ModerateBody, request: Request) -> dict[str, Any]:
        desk = desk_of(services)
        [verdict] = await judged(desk, [texts_of(body.parts, "parts")], body.region, request)
        return {"request_id": request.scope[ID]} | decision(verdict, desk.moderator)

    async def moderations(body: ModerationsBody, request: Request) -> dict[str, Any]:
        desk = desk_of(services)
        verdicts = await judged(desk, items_of(body), None, request)
        return {
            "id": f"modr-{request.scope[ID]}",
            "model": desk.version,
            "results": [result(verdict, desk.moderator) for verdict in verdicts],
        }

    async def analyze(body: PerspectiveBody, request: Request) -> dict[str, Any]:
        refuse_unknown(body)
        [verdict] = await judged(desk_of(services), [[body.comment.text]], None, request)
        return analysed(body, verdict)

    return [
        JsonRoute(
            "/v1/moderate",
            "moderation",
            "Judge one piece of content, with evidence",
            ModerateBody,
            ModerateAnswer,
            moderate,
            errors=ERRORS,
        ),
        JsonRoute(
            "/v1/moderations",
            "moderation",
            "OpenAI's moderation, with our verdict beside it",
            ModerationsBody,
            ModerationsAnswer,
            moderations,
            errors=ERRORS,
        ),
        JsonRoute(
            PERSPECTIVE_PATH,
            "moderation",
            "Perspective's analysis of a comment",
            PerspectiveBody,
            PerspectiveAnswer,
            analyze,
            errors=ERRORS,
        ),
    ]


def desk_of(services: Services) -> ModerationDesk:
    """The desk.

    Raises:
        ApiError: 503 where no bundle is published; says how to make one.
    """
    if services.moderation is None:
        raise ApiError(
            503,
            "no_moderation_bundle",
            "no moderation bundle is published; `python -m training.train_classifier --config "
            "configs/classifier.yaml --data FOLDER --out BUNDLE`, then `python -m training.publish "
            "--bundle BUNDLE`, then start the server again",
        )
    return services.moderation


def texts_of(parts: Sequence[TextPart | PicturePart], field: str) -> list[str]:
    """The texts of all parts.

    Raises:
        ApiError: 422 where one is a picture.
    """
    pictures = [n for n, part in enumerate(parts) if isinstance(part, PicturePart)]
    if pictures:
        message = "pictures are not judged yet; send text parts only"
        details = [
            Detail(field=f"{field}.{n}", value=parts[n].type, message=message) for n in pictures
        ]
        raise ApiError(422, "pictures_not_supported", message, details)
    return [part.text for part in parts if isinstance(part, TextPart)]


def items_of(body: ModerationsBody) -> list[list[str]]:
    """Of a text or of several, one item each; of parts, one item."""
    if isinstance(body.input, str):
        return [[body.input]]
    texts = [one for one in body.input if isinstance(one, str)]
    if texts:
        return [[text] for text in texts]
    return [texts_of([one for one in body.input if not isinstance(one, str)], "input")]


def refuse_too_much(items: Sequence[Sequence[str]]) -> None:
    """Bound the time that one request may take.

    Raises:
        ApiError: 422 above CHARACTERS_LIMIT.
    """
    characters = sum(len(text) for parts in items for text in parts)
    if characters > CHARACTERS_LIMIT:
        message = f"{characters} characters in all texts; send fewer at once"
        raise invalid(
            [Detail(field="body", value=characters, message=message, limit=CHARACTERS_LIMIT)]
        )


def refuse_unknown(body: PerspectiveBody) -> None:
    """Refuse attributes and languages that nothing here scores.

    Raises:
        ApiError: 422; every one is listed.
    """
    details = [
        Detail(field=f"requestedAttributes.{name}", message="is not scored", limit=limit)
        for name, limit in unknown_attributes(body)
    ]
    details += [
        Detail(field=f"languages.{n}", value=name, message="is not read", limit=list(LANGUAGES))
        for n, name in enumerate(body.languages)
        if language_of(name) not in LANGUAGES
    ]
    if details:
        raise invalid(details)


def result(verdict: Verdict, moderator: Moderator) -> dict[str, Any]:
    """The verdict in OpenAI's shape: every label is a category, 0 where nothing finds it."""
    found = {one.label: one for one in verdict.labels}
    names = list(moderator.labels.labels)
    categories = {name: name in found and found[name].suggestion != "pass" for name in names}
    return {
        "flagged": any(categories.values()),
        "categories": categories,
        "category_scores": {name: found[name].score if name in found else 0.0 for name in names},
        "category_applied_input_types": {name: ["text"] if name in found else [] for name in names},
        "decision": decision(verdict, moderator),
    }
