"""OpenAPI of the plain JSON routes, beside what FastAPI writes of its own."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from serving.api.errors import ErrorAnswer
from serving.api.forms import BODY, FILE, FORM
from serving.api.json_route import JsonRoute
from serving.records.items import Item

REFERENCE = "#/components/schemas/{model}"
REFUSALS = (
    (400, "not UTF-8 or not JSON"),
    (413, "the body is above the limit"),
    (415, "the body is compressed"),
    (422, "a field is unknown, missing or outside its limit; every fault is listed"),
)


def describe(app: FastAPI, routes: Sequence[JsonRoute[Any]]) -> None:
    """Let the app's OpenAPI document show the routes, with models and examples."""
    document = app.openapi()
    models = [model for route in routes for model in (route.body, route.form) if model is not None]
    asked = [(model, "validation") for model in models]
    given = [(model, "serialization") for route in routes for model in (route.answer, ErrorAnswer)]
    _, schemas = models_json_schema([*asked, (Item, "validation"), *given], ref_template=REFERENCE)  # type: ignore[list-item]
    known = document.setdefault("components", {}).setdefault("schemas", {})
    known.update(schemas["$defs"])
    for route in routes:
        path = document["paths"].setdefault(route.path.replace(":path}", "}"), {})
        path[route.method.lower()] = _operation(route)


def _operation(route: JsonRoute[Any]) -> dict[str, Any]:
    answers = {str(route.status): _content("the answer", route.answer)}
    if route.status_of is not None:
        answers["202"] = _content("recorded; it is still carried to every replica", route.answer)
    refusals = REFUSALS if route.body or route.takes else ()
    for status, meaning in (*refusals, *route.errors):
        answers[str(status)] = _content(meaning, ErrorAnswer)
    name = re.sub(r"\W+", "_", route.path.replace(":path", "")).strip("_")
    described: dict[str, Any] = {
        "tags": [route.tag],
        "summary": route.summary,
        "operationId": name if route.method == "POST" else f"{route.method.lower()}_{name}",
        "responses": answers,
    }
    if named := re.findall(r"{(\w+)", route.path):
        described["parameters"] = [
            {"name": one, "in": "path", "required": True, "schema": {"type": "string"}}
            for one in named
        ]
    if route.body is not None:
        described["requestBody"] = {"required": True} | _content(None, route.body)
    if route.form is not None:
        described["requestBody"]["content"][FORM] = {"schema": _form(route.form)}
    if route.takes is not None:
        file = {"schema": {"type": "string", "format": "binary"}}
        described["requestBody"] = {"required": True, "content": {route.takes: file}}
    return described


def _form(model: type[Any]) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    fields = {"$ref": REFERENCE.format(model=model.__name__)}
    files = {"type": "array", "items": file}
    return {"type": "object", "properties": {BODY: fields, FILE: files}}


def _content(description: str | None, model: type[Any]) -> dict[str, Any]:
    reference = {"$ref": REFERENCE.format(model=model.__name__)}
    content = {"content": {"application/json": {"schema": reference}}}
    return content if description is None else {"description": description} | content
