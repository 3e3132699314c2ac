"""Routes of moderation queues: our own shape, OpenAI's and Perspective's."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from serving.api.access import PERSPECTIVE_PATH
from serving.api.errors import ApiError, Detail, invalid
from serving.api.forms import FILE
from serving.api.json_route import FILES, JsonRoute
from serving.api.moderation_schemas import (
    ModerateAnswer,
    ModerateBody,
    ModerateFields,
    ModerationsAnswer,
    ModerationsBody,
    PerspectiveAnswer,
    PerspectiveBody,
)
from serving.api.perspective import LANGUAGES, analysed, language_of, unknown_attributes
from serving.api.pictures import content_of
from serving.api.request_log import FACTS, ID
from serving.api.services import Services
from serving.moderation.desk import ModerationDesk
from serving.moderation.findings import Content
from serving.moderation.rendering import decision
from serving.moderation.verdict import LabelVerdict, Moderator, Verdict

PICTURE_PATHS = (
    "/v1/moderate",
    "/v1/moderations",
    "/v1/moderate/batch",
)  # whose bodies may be large
CHARACTERS_LIMIT = 40_000  # of all texts of one request
COMMENT = "comment"  # surface of Perspective's route, where the policy has one
Where = tuple[str | None, str | None]  # region and surface
ERRORS = ((503, "no moderation bundle is published"),)


def moderation_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/moderate``, ``/v1/moderations`` and ``/v1alpha1/comments:analyze``."""

    async def judged(
        desk: ModerationDesk, items: Sequence[Content], where: Where, request: Request
    ) -> list[Verdict]:
        refuse_too_much(items)
        verdicts = await desk.judge(items, *where)
        request.scope[FACTS].update(suggestions=[verdict.suggestion for verdict in verdicts])
        return verdicts

    async def moderate(body: ModerateBody | ModerateFields, request: Request) -> dict[str, Any]:
        desk, files = desk_of(services), request.scope.get(FILES, ())
        refuse_unknown_surface(desk, body.surface, "surface")
        if not body.parts and not files:
            raise invalid([Detail(field=FILE, value=0, message="a form without any", limit=1)])
        content = await content_of(services, desk, body.parts, "parts", files)
        [verdict] = await judged(desk, [content], (body.region, body.surface), request)
        return {"request_id": request.scope[ID]} | decision(verdict, desk.moderator)

    async def moderations(body: ModerationsBody, request: Request) -> dict[str, Any]:
        desk = desk_of(services)
        items = await items_of(services, desk, body)
        verdicts = await judged(desk, items, (None, None), request)
        return {
            "id": f"modr-{request.scope[ID]}",
            "model": desk.version,
            "results": [result(verdict, desk.moderator) for verdict in verdicts],
        }

    async def analyze(body: PerspectiveBody, request: Request) -> dict[str, Any]:
        refuse_unknown(body)
        desk, content = desk_of(services), Content((body.comment.text,))
        where = (None, COMMENT if COMMENT in desk.moderator.policies.surfaces else None)
        [verdict] = await judged(desk, [content], where, request)
        return analysed(body, verdict)

    ours = ("/v1/moderate", "Judge one piece of content, with evidence")
    openai = ("/v1/moderations", "OpenAI's moderation, with our verdict beside it")
    perspective = (PERSPECTIVE_PATH, "Perspective's analysis of a comment")
    return [
        replace(_route(ours, ModerateBody, ModerateAnswer, moderate), form=ModerateFields),
        _route(openai, ModerationsBody, ModerationsAnswer, moderations),
        _route(perspective, PerspectiveBody, PerspectiveAnswer, analyze),
    ]


def _route(
    named: tuple[str, str], body: type[Any], answer: type[BaseModel], handle: Any
) -> JsonRoute[Any]:
    path, summary = named
    return JsonRoute(path, "moderation", summary, body, answer, handle, errors=ERRORS)


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


async def items_of(
    services: Services, desk: ModerationDesk, body: ModerationsBody
) -> list[Content]:
    """Of a text or of several, one item each; of parts, one item.

    Raises:
        ApiError: 422; see `content_of`.
    """
    if isinstance(body.input, str):
        return [Content((body.input,))]
    texts = [one for one in body.input if isinstance(one, str)]
    if texts:
        return [Content((text,)) for text in texts]
    parts = [one for one in body.input if not isinstance(one, str)]
    return [await content_of(services, desk, parts, "input")]


def refuse_unknown_surface(desk: ModerationDesk, surface: str | None, field: str) -> None:
    """Refuse a surface that the policies do not have.

    Raises:
        ApiError: 422; names those that there are.
    """
    known = desk.moderator.policies.surfaces
    if surface is not None and surface not in known:
        raise invalid(
            [Detail(field=field, value=surface, message="no such surface", limit=list(known))]
        )


def refuse_too_much(items: Sequence[Content]) -> None:
    """Bound the time that one request may take.

    Raises:
        ApiError: 422 above CHARACTERS_LIMIT.
    """
    characters = sum(map(characters_of, items))
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


def characters_of(item: Content) -> int:
    """Of all texts and transcripts."""
    said = sum(len(chunk.text) for transcript in item.transcripts for chunk in transcript)
    return said + sum(map(len, item.texts))


def input_types(label: LabelVerdict, verdict: Verdict) -> list[str]:
    """The kinds of input in which a label was looked for."""
    kinds = {"text": "text", "ocr": "image", "image": "image"}
    if label.thresholds is None:  # rules alone find it
        read = {"text": "rules", "image": "ocr"}
        return [kind for kind, stage in read.items() if stage in verdict.timings_ms]
    return sorted({kinds[modality] for modality in label.by_modality}, reverse=True)


def result(verdict: Verdict, moderator: Moderator) -> dict[str, Any]:
    """The verdict in OpenAI's shape: every label is a category, 0 where nothing finds it."""
    found = {one.label: one for one in verdict.labels}
    names = list(moderator.labels.labels)
    categories = {name: name in found and found[name].suggestion != "pass" for name in names}
    return {
        "flagged": any(categories.values()),
        "categories": categories,
        "category_scores": {name: found[name].score if name in found else 0.0 for name in names},
        "category_applied_input_types": {
            name: input_types(found[name], verdict) if name in found else [] for name in names
        },
        "decision": decision(verdict, moderator),
    }
