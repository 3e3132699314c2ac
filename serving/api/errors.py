"""The one shape of every error: {"error": {"code", "message", "details": [...]}}."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from serving.faults import limit_of, message_of

DETAILS_LISTED = 5_000
VALUE_CHARACTERS = 100
JSON_BITS = 53  # of the integers that every JSON reader takes exactly
HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


class Detail(BaseModel):
    """One fault: which field, what it held, what is wrong, and the limit where there is one."""

    field: str
    value: Any = None
    message: str
    limit: Any = None


class ErrorBody(BaseModel):
    """What went wrong; `code` is stable, `message` is for people."""

    code: str
    message: str
    details: list[Detail] = []


class ErrorAnswer(BaseModel):
    """The answer to every request that is not answered."""

    error: ErrorBody


class ApiError(Exception):
    """A request that cannot be answered, and the status that says so."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = ErrorBody(code=code, message=message, details=list(details))


def error_response(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response of an error."""
    content = orjson.dumps({"error": error.body.model_dump()})
    headers = {**error.headers, **(headers or {})}
    return Response(content, error.status, headers, media_type="application/json")


def not_valid(error: ValidationError, body: bytes) -> ApiError:
    """Return the error of a body that does not fit its model; every fault is listed."""
    faults = error.errors(include_url=False)
    if faults[0]["type"] == "json_invalid":
        return _not_json(str(faults[0]["ctx"]["error"]), body)
    return faults_listed([(fault["loc"], fault) for fault in faults])


def faults_listed(faults: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]) -> ApiError:
    """Return the error of faults as pydantic tells them, each with its place."""
    details = [
        Detail(
            field=".".join(str(part) for part in place) or "body",
            value=shown(fault["input"]),
            message=message_of(fault),
            limit=shown(limit_of(fault)),
        )
        for place, fault in faults[:DETAILS_LISTED]
    ]
    return invalid(details, len(faults))


def invalid(details: Sequence[Detail], count: int | None = None) -> ApiError:
    """Return the error of values outside their limits.

    Args:
        details: what is listed.
        count: of all faults, if not all are listed.
    """
    total = len(details) if count is None else count
    first = details[0]
    faults = "1 fault" if total == 1 else f"{total} faults, {len(details)} listed"
    message = f"{first.field}: {first.message} ({faults}; nothing was done)"
    return ApiError(422, "invalid_request", message, details)


def not_plain(encoding: str) -> ApiError:
    """Say that a body came compressed."""
    message = f"Content-Encoding is {shown(encoding)!r}; send the body without one"
    detail = Detail(field="content-encoding", value=shown(encoding), message=message)
    return ApiError(415, "unsupported_encoding", message, [detail])


def shown(value: Any) -> Any:
    """A value as an error shows it: short, and without what JSON cannot hold."""
    if isinstance(value, Mapping | list | tuple | set):
        return f"{len(value)} entries"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > JSON_BITS:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= VALUE_CHARACTERS else text[:VALUE_CHARACTERS] + "…"


async def http_error(request: Request, error: Exception) -> Response:
    """Answer an unknown path or a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    code = HTTP_CODES.get(error.status_code, "refused")
    message = f"{request.method} {request.url.path}: {error.detail}"
    return error_response(ApiError(error.status_code, code, message), error.headers)


async def api_error(request: Request, error: Exception) -> Response:
    """Answer an `ApiError`."""
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
    return error_response(error)


def _not_json(what: str, body: bytes) -> ApiError:
    try:
        body.decode()
    except UnicodeDecodeError as fault:
        detail = Detail(field="body", value=f"byte {fault.start}", message=fault.reason)
        return ApiError(400, "invalid_utf8", "the body is not UTF-8", [detail])
    detail = Detail(field="body", value=f"{len(body)} bytes", message=what)
    return ApiError(400, "invalid_json", f"the body is not JSON: {what}", [detail])
