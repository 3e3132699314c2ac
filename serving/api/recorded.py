"""Calls of the records from routes: off the event loop, and their refusals as answers."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from fastapi import Request

from serving.api.errors import ApiError, Detail, invalid, shown
from serving.records.errors import (
    BadRows,
    Conflict,
    Fault,
    NotFound,
    RecordsError,
    StorageFull,
)

P = ParamSpec("P")
R = TypeVar("R")
PRINCIPAL = "tidegate.principal"  # who asks, by the key of the request
ANYONE = "anonymous"
UNREACHABLE = (503, "the records cannot be reached now")
FULL = (507, "the disk is full; nothing was stored")
STORED = (UNREACHABLE, FULL)  # of every change
NONE_SUCH = (404, "no such record")
BARRED = (409, "the record is not in the state that the change expects")


def actor_of(request: Request) -> str:
    """Name in the audit trail of whoever asks."""
    return str(request.scope.get(PRINCIPAL, ANYONE))


async def recorded(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a call of the records in a thread.

    Raises:
        ApiError: what the records refused, in the one shape of errors.
    """
    return await recorded_rows("", call, *args, **kwargs)


async def recorded_rows(rows: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The same for a bulk write; `rows` names the list of the body whose rows may be refused."""
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except RecordsError as error:
        raise refusal(error, rows) from error


def refusal(error: RecordsError, rows: str) -> ApiError:
    """Return what a refusal of the records is to the caller.

    Args:
        error: the refusal.
        rows: name of the list that the faulty rows stand in; empty where there is only one.
    """
    if isinstance(error, BadRows):
        return invalid([_detail(fault, rows) for fault in error.faults])
    if isinstance(error, NotFound):
        return ApiError(404, "not_found", str(error))
    if isinstance(error, Conflict):
        return ApiError(409, "conflict", str(error))
    if isinstance(error, StorageFull):
        return ApiError(507, "storage_full", "the disk is full; nothing was stored")
    return ApiError(503, "records_unreachable", "nothing was stored that you know of; ask again")


def _detail(fault: Fault, rows: str) -> Detail:
    parts = (rows, str(fault.row), fault.field) if rows else (fault.field,)
    field = ".".join(part for part in parts if part) or "body"
    return Detail(
        field=field, value=shown(fault.value), message=fault.message, limit=shown(fault.limit)
    )
