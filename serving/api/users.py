"""Routes about people: what is recorded of them, and their export."""

from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from serving.api.errors import ApiError
from serving.api.json_route import JsonRoute
from serving.api.recorded import BARRED, FULL, NONE_SUCH, UNREACHABLE, actor_of, recorded
from serving.api.request_log import ID
from serving.api.schemas import Asked
from serving.api.services import Services
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
    """Everything that is kept of a user; `user` is null where only behaviour is known."""

    request_id: str
    user: User | None
    recent: list[dict[str, Any]]
    seen: list[str]


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
            errors=(BARRED, UNREACHABLE, FULL),
            method="PUT",
        ),
        JsonRoute(one, "users", "Read a user", None, UserAnswer, get, errors=gone, method="GET"),
    ]


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
