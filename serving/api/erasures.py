"""Routes of people who leave: their erasure and its receipt."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel

from serving.api.json_route import JsonRoute
from serving.api.recorded import NONE_SUCH, STORED, UNREACHABLE, actor_of, recorded
from serving.api.request_log import ID
from serving.api.services import Services
from serving.records.contracts import Receipt

WAIT_S, POLL_S = 10.0, 0.1  # an erasure is waited for so long, then the answer is 202


class ReceiptAnswer(BaseModel):
    """Proof of an erasure: how many records went from each store.

    While `erased_at_ms` is null (202) it is under way, and `stores` grows. `model` is pending until
    a bundle trained without the user is published and those from before are deleted.
    """

    request_id: str
    receipt_id: str
    requested_at_ms: int
    stores: dict[str, int]
    erased_at_ms: int | None
    model: Literal["pending", "done"]


def erasure_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``DELETE /v1/users/ID`` and ``/v1/erasures``."""
    erasures = services.stores.erasures

    async def erase(_: None, request: Request) -> dict[str, Any]:
        user_id = request.path_params["user_id"]
        receipt = await recorded(erasures.request, actor_of(request), user_id)
        services.profiles.forget(user_id)
        deadline = time.monotonic() + WAIT_S
        while receipt.erased_at_ms is None and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
            receipt = await recorded(erasures.receipt_of, receipt.receipt_id)
        return _receipt(receipt, request)

    async def receipt(_: None, request: Request) -> dict[str, Any]:
        found = await recorded(erasures.receipt_of, request.path_params["receipt_id"])
        return _receipt(found, request)

    return [
        JsonRoute(
            "/v1/users/{user_id:path}",
            "users",
            "Erase a user from every store, for good",
            None,
            ReceiptAnswer,
            erase,
            errors=STORED,
            method="DELETE",
            status_of=erased_status,
        ),
        JsonRoute(
            "/v1/erasures/{receipt_id}",
            "users",
            "Read the receipt of an erasure",
            None,
            ReceiptAnswer,
            receipt,
            errors=(NONE_SUCH, UNREACHABLE),
            method="GET",
        ),
    ]


def erased_status(answer: Mapping[str, Any]) -> int:
    """Return the status of an erasure that has come so far."""
    return 202 if answer["erased_at_ms"] is None else 200


def _receipt(receipt: Receipt, request: Request) -> dict[str, Any]:
    facts = asdict(receipt)
    del facts["subject_mac"]  # of use to nobody without the key
    return {"request_id": request.scope[ID]} | facts
