"""Routes about people: what is recorded of them, their export, their leaving."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from serving.api.errors import ApiError
from serving.api.json_route import JsonRoute
from serving.api.recorded import BARRED, FULL, NONE_SUCH, UNREACHABLE, actor_of, recorded
from serving.api.request_log import ID
from serving.api.schemas import Asked
from serving.api.services import Services
from serving.live.state import StateUnreachableError
from serving.records.contracts import Receipt
from serving.records.items import Region
from serving.records.profiles import Blocks, User

RECEIPT_PATH = "/v1/erasures"
WAIT_S, POLL_S = 10.0, 0.1  # how long an erasure is waited for; the archiver looks as often


class UserBody(Asked):
    """Everything that is recorded of a user; what is left out is forgotten."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "region": "CN",
                    "language": "zh",
                    "birth_year": 1990,
                    "time_zone": "Asia/Shanghai",
                    "consents": {"ads": False},
                    "personalised": True,
                    "blocks": {"creators": ["creator-9"], "categories": ["home/lamps"]},
                }
            ]
        }
    )
    region: Region | None = None
    language: Annotated[str, Field(max_length=32)] | None = None
    birth_year: int | None = None
    time_zone: str | None = Field(None, description="IANA name, as Asia/Shanghai")
    consents: dict[str, bool] = Field(default_factory=dict)
    personalised: bool = Field(True, description="false: feeds follow the context only")
    blocks: Blocks = Blocks()


class UserAnswer(BaseModel):
    """A user as recorded."""

    request_id: str
    user: User


class ExportAnswer(BaseModel):
    """Everything that is kept of a user; `user` is null where only behaviour is known."""

    request_id: str
    user: User | None
    recent: list[dict[str, Any]]
    seen: list[str]


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


def user_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return the routes of ``/v1/users``."""
    users, erasures = services.stores.users, services.stores.erasures

    async def put(body: UserBody, request: Request) -> dict[str, Any]:
        row = body.model_dump(mode="json") | {"user_id": request.path_params["user_id"]}
        user = await recorded(users.put, actor_of(request), row)
        services.profiles.forget(user.user_id)
        return {"request_id": request.scope[ID], "user": user.model_dump(mode="json")}

    async def get(_: None, request: Request) -> dict[str, Any]:
        user = await recorded(users.get, request.path_params["user_id"])
        return {"request_id": request.scope[ID], "user": user.model_dump(mode="json")}

    async def export(_: None, request: Request) -> dict[str, Any]:
        found = await _everything_of(services, request.path_params["user_id"])
        return {"request_id": request.scope[ID]} | found

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

    one = "/v1/users/{user_id:path}"
    gone = (NONE_SUCH, UNREACHABLE)
    return [
        JsonRoute(
            f"{one}/export",
            "users",
            "Everything kept of a user",
            None,
            ExportAnswer,
            export,
            errors=gone,
            method="GET",
        ),
        JsonRoute(
            one,
            "users",
            "Record or correct a user",
            UserBody,
            UserAnswer,
            put,
            errors=(BARRED, UNREACHABLE, FULL),
            method="PUT",
        ),
        JsonRoute(one, "users", "Read a user", None, UserAnswer, get, errors=gone, method="GET"),
        JsonRoute(
            one,
            "users",
            "Erase a user from every store, for good",
            None,
            ReceiptAnswer,
            erase,
            errors=(UNREACHABLE, FULL),
            method="DELETE",
            status_of=erased_status,
        ),
        JsonRoute(
            f"{RECEIPT_PATH}/{{receipt_id}}",
            "users",
            "Read the receipt of an erasure",
            None,
            ReceiptAnswer,
            receipt,
            errors=gone,
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


async def _everything_of(services: Services, user_id: str) -> dict[str, Any]:
    try:
        state = await services.state.read(user_id, services.clock_ms())
    except StateUnreachableError as error:
        raise ApiError(503, "state_unreachable", "the user's behaviour cannot be read") from error
    try:
        user = (await recorded(services.stores.users.get, user_id)).model_dump(mode="json")
    except ApiError as error:
        if error.status != 404 or not (state.recent or state.seen):
            raise
        user = None
    recent = [behaviour._asdict() for behaviour in state.recent]
    return {"user": user, "recent": recent, "seen": sorted(state.seen)}
