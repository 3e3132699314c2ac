"""Where the check of an item stands."""

from dataclasses import asdict
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from configs.labels import Action
from serving.api.errors import ApiError
from serving.api.json_route import JsonRoute
from serving.api.moderation_schemas import VerdictAnswer
from serving.api.recorded import NONE_SUCH, UNREACHABLE, recorded
from serving.api.request_log import ID
from serving.api.services import Services


class CheckAnswer(BaseModel):
    """The check of an item's current version.

    `verdict` holds one for each region of the item, null while the version waits; `fault` says why
    the machine could not judge it.
    """

    request_id: str
    item_id: str
    content_version: int
    state: str
    attempts: int
    fault: str | None
    suggestion: Action | None
    verdict: dict[str, VerdictAnswer] | None
    checked_at_ms: int | None


def check_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/moderate/items/{item_id}``."""

    async def get(_: None, request: Request) -> dict[str, Any]:
        item_id = request.path_params["item_id"]
        found = await recorded(services.stores.moderation.checks.get, item_id)
        if found is None:
            raise ApiError(404, "not_found", f"item {item_id}: not in the catalogue")
        return {"request_id": request.scope[ID]} | asdict(found)

    return [
        JsonRoute(
            "/v1/moderate/items/{item_id:path}",
            "moderation",
            "Read how an item was judged",
            None,
            CheckAnswer,
            get,
            errors=(NONE_SUCH, UNREACHABLE),
            method="GET",
        )
    ]
