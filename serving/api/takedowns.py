"""Routes of the operator: hiding, limiting and showing an item, everywhere at once."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict

from serving.api.json_route import JsonRoute
from serving.api.recorded import STORED, actor_of, recorded
from serving.api.request_log import ID
from serving.api.schemas import Asked, Reason
from serving.api.services import Services
from serving.live.state import StateUnreachableError
from serving.live.takedown import Applied, apply_everywhere
from serving.records.errors import NotFound, RecordsError
from serving.records.items import Identifier, Region
from serving.records.status import ANY, Scope, Status


class TakedownBody(Asked):
    """One item, for everyone or for a region; an item that only a bundle holds can be named too."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"item_id": "item-7", "reason": "court order 12/26"}]}
    )
    item_id: Identifier
    reason: Reason
    region: Region | None = None


class TakedownAnswer(BaseModel):
    """How far the change has come.

    `done`: every answer to a request that begins now knows of it, so none holds an item taken down.
    `pending` (202): it is recorded, and carried to every replica as soon as the state can be
    reached. `known` is false for an id
    that neither catalogue nor bundle has: a slip of the pen, or an item that comes later.
    """

    request_id: str
    item_id: str
    sequence: int
    applied: Literal["done", "pending"]
    known: bool


def takedown_routes(services: Services) -> Sequence[JsonRoute[Any]]:
    """Return ``/v1/admin/takedowns`` with its ``/limit`` and ``/restore``."""

    def deciding(status: Status) -> Any:
        async def decide(body: TakedownBody, request: Request) -> dict[str, Any]:
            visibility = services.stores.visibility
            scope = Scope(region=body.region or ANY)
            row = await recorded(
                visibility.decide, actor_of(request), body.item_id, status, scope, body.reason
            )
            applied = await carried(services, row.sequence)
            return {
                "request_id": request.scope[ID],
                "item_id": body.item_id,
                "sequence": row.sequence,
                "applied": applied,
                "known": await is_known(services, body.item_id),
            }

        return decide

    ways: list[tuple[str, str, Status]] = [
        ("/v1/admin/takedowns", "Hide an item from every answer that begins now", "hidden"),
        ("/v1/admin/takedowns/limit", "Show an item without promoting it", "limited"),
        ("/v1/admin/takedowns/restore", "Show an item again", "visible"),
    ]
    return [
        JsonRoute(
            path,
            "admin",
            summary,
            TakedownBody,
            TakedownAnswer,
            deciding(status),
            errors=STORED,
            status_of=applied_status,
        )
        for path, summary, status in ways
    ]


async def is_known(services: Services, item_id: str) -> bool:
    """Whether the bundle or the catalogue has an item."""
    if services.bundle.items.model.vocabulary.row(item_id) is not None:
        return True
    try:
        await asyncio.to_thread(services.stores.catalogue.get, item_id)
    except NotFound:
        return False
    return True


def applied_status(answer: Mapping[str, Any]) -> int:
    """Return the status of an act that has come so far."""
    return 200 if answer["applied"] == "done" else 202


async def announce(services: Services) -> None:
    """Let the state know at once what was recorded; if it is away, it learns it later."""
    if services.link is not None:
        with contextlib.suppress(StateUnreachableError, RecordsError):
            await services.link.push(services.stores.visibility)


async def carried(services: Services, sequence: int) -> Applied:
    """Carry a recorded change to every replica; without a state server there is no way to."""
    if services.link is None:
        return "pending"
    return await apply_everywhere(services.link, services.stores.visibility, sequence)
