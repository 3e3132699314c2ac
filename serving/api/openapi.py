"""OpenAPI of the plain JSON routes, beside what FastAPI writes of its own."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from serving.api.errors import ErrorAnswer
from serving.api.json_route import JsonRoute

REFERENCE = "#/components/schemas/{model}"
REFUSALS = (
    (400, "not UTF-8 or not JSON"),
    (413, "the body is above the limit"),
    (422, "a field is unknown, missing or outside its limit; every fault is listed"),
)


def describe(app: FastAPI, routes: Sequence[JsonRoute[Any]]) -> None:
    """Let the app's OpenAPI document show the routes, with models and examples."""
    document = app.openapi()
    asked = [(route.body, "validation") for route in routes]
    given = [(model, "serialization") for route in routes for model in (route.answer, ErrorAnswer)]
    _, schemas = models_json_schema([*asked, *given], ref_template=REFERENCE)  # type: ignore[list-item]
    known = document.setdefault("components", {}).setdefault("schemas", {})
    known.update(schemas["$defs"])
    for route in routes:
        document["paths"][route.path] = {"post": _operation(route)}


def _operation(route: JsonRoute[Any]) -> dict[str, Any]:
    answers = {str(route.status): _content("the answer", route.answer)}
    for status, meaning in (*REFUSALS, *route.errors):
        answers[str(status)] = _content(meaning, ErrorAnswer)
    return {
        "tags": [route.tag],
        "summary": route.summary,
        "operationId": route.path.strip("/").replace("/", "_").replace(":", "_"),
        "requestBody": {"required": True} | _content(None, route.body),
        "responses": answers,
    }


def _content(description: str | None, model: type[Any]) -> dict[str, Any]:
    reference = {"$ref": REFERENCE.format(model=model.__name__)}
    content = {"content": {"application/json": {"schema": reference}}}
    return content if description is None else {"description": description} | content
