"""Routes about people: what is recorded of them, and their export."""

import asyncio
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from serving.api.errors import ApiError
from serving.api.json_route import JsonRoute
from serving.api.recorded import BARRED, NONE_SUCH, STORED, UNREACHABLE, actor_of, recorded
from serving.api.request_log import ID
from serving.api.schemas import Asked
from serving.api.services import Services
from serving.archive.commits import ArchiveError, SegmentKind
from serving.archive.reading import read_rows
from serving.live.state import StateUnreachableError
from serving.records.items import Region
from serving.records.profiles import Blocks, User


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
    """Everything that is kept of a user; `user` is null where only behaviour is known.

    `region` is where they asked for their newest page, if within a day. `events` and `served` are
    archived: what came a few seconds ago may stand in `recent` only.
    """

    request_id: str
    user: User | None
    region: str | None
    recent: list[dict[str, Any]]
    seen: list[str]
    events: list[dict[str, Any]]
    served: list[dict[str, Any]]


def user_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return the routes of ``/v1/users``."""
    users = services.stores.users

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
            errors=(BARRED, *STORED),
            method="PUT",
        ),
        JsonRoute(one, "users", "Read a user", None, UserAnswer, get, errors=gone, method="GET"),
    ]


async def _everything_of(services: Services, user_id: str) -> dict[str, Any]:
    try:
        state = await services.state.read(user_id, services.clock_ms())
        (region,) = await services.state.regions([user_id])
    except StateUnreachableError as error:
        raise ApiError(503, "state_unreachable", "the user's behaviour cannot be read") from error
    found = {
        "user": await _recorded_facts(services, user_id),
        "region": region or None,
        "recent": [behaviour._asdict() for behaviour in state.recent],
        "seen": sorted(state.seen),
        "events": await _archived(services, "events", user_id),
        "served": await _archived(services, "served", user_id),
    }
    if not any(found.values()):
        raise ApiError(404, "not_found", "no such user")
    return found


async def _recorded_facts(services: Services, user_id: str) -> dict[str, Any] | None:
    try:
        return (await recorded(services.stores.users.get, user_id)).model_dump(mode="json")
    except ApiError as error:
        if error.status != 404:
            raise
        return None


async def _archived(services: Services, kind: SegmentKind, user_id: str) -> list[dict[str, Any]]:
    try:
        rows = await asyncio.to_thread(read_rows, services.archive, kind, user_id)
    except (ArchiveError, OSError) as error:
        message = f"the archive cannot be read: {error}"
        raise ApiError(503, "archive_unreadable", message) from error
    found: list[dict[str, Any]] = rows.sort_by("arrived_ms").to_pylist()
    return found
