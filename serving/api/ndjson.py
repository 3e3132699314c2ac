"""Bodies of JSON lines, and what is wrong with which line."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from serving.api.errors import DETAILS_LISTED, ApiError, Detail, faults_listed

NDJSON = "application/x-ndjson"
Body = TypeVar("Body", bound=BaseModel)


def of_lines(raw: bytes, model: type[Body], field: str) -> tuple[Body, list[int]]:
    """Return the model whose one list holds the lines, and their numbers; empty ones are left out.

    Each line is parsed by itself: glued together, a broken one could pass for two.

    Args:
        raw: UTF-8. model: has one list. field: the list.

    Raises:
        ApiError: names every line that is not JSON, or every field of a line that does not fit.
    """
    lines = {n: line for n, line in enumerate(raw.split(b"\n"), start=1) if line.strip()}
    rows: list[Any] = []
    unreadable: list[tuple[int, str]] = []
    for n, line in lines.items():
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            unreadable.append((n, str(error)))
    if unreadable:
        raise _not_json(unreadable)
    numbers = list(lines)
    try:
        return model.model_validate_json(orjson.dumps({field: rows})), numbers
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise faults_listed(
            [(_line_of(fault["loc"], numbers), fault) for fault in faults]
        ) from None


def in_lines(error: ApiError, field: str, numbers: Sequence[int]) -> ApiError:
    """Return the error with the lines' numbers where it names places in the list.

    Args:
        error: of the whole batch. field: the list. numbers: of the lines, in its order.
    """

    def named(text: str) -> str:
        return re.sub(rf"\b{field}\.(\d+)\b", lambda at: f"line {numbers[int(at[1])]}", text)

    body = error.body
    details = [
        one.model_copy(update={"field": named(one.field), "message": named(one.message)})
        for one in body.details
    ]
    return ApiError(error.status, body.code, named(body.message), details, error.headers)


def _not_json(faults: Sequence[tuple[int, str]]) -> ApiError:
    details = [Detail(field=f"line {n}", message=what) for n, what in faults[:DETAILS_LISTED]]
    told = f"line {faults[0][0]} is not JSON: {faults[0][1]} ({len(faults)} such lines)"
    return ApiError(400, "invalid_json", told, details)


def _line_of(place: Sequence[Any], numbers: Sequence[int]) -> Sequence[Any]:
    return place if len(place) < 2 else (f"line {numbers[place[1]]}", *place[2:])
