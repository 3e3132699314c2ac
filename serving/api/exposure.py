"""Routes of the exploration ladder: where an item stands, and how exposure is spread."""

from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel

from serving.api.errors import ApiError, shown
from serving.api.json_route import JsonRoute
from serving.api.request_log import ID
from serving.api.services import Services
from serving.feed.exposure import REACTIONS
from serving.feed.spread import gini, small_creator_share
from serving.live.exposure import ExposureLadder, Rung
from serving.live.state import StateUnreachableError

MOVES_SHOWN = 100
UNREACHABLE = (503, "the ladder cannot be read now")
Read = TypeVar("Read")


class ExposureAnswer(BaseModel):
    """Where an item stands on the exploration ladder.

    `tier` 0 is the first audience. `budget` is granted in all, of which `reserved` is served and
    not seen yet and `confirmed` was seen. `viewers` and `reactions` count distinct people, wherever
    they saw the item. `moves` are its ledger, oldest first: opened, promoted, demoted, expired.
    """

    request_id: str
    item_id: str
    tier: int
    state: Literal["open", "spent", "closed"]
    budget: int
    reserved: int
    confirmed: int
    first_budget: int
    opened_at_ms: int
    viewers: int
    reactions: dict[str, int]
    moves: list[dict[str, str]]


class SpreadAnswer(BaseModel):
    """How exposure is spread over the items on the ladder, and what moved lately.

    `small_creators` are those with the least first audience, `share` is what of all impressions
    their items got.
    """

    request_id: str
    items: int
    by_tier: dict[str, int]
    gini: float
    small_creators: dict[str, float]
    moves: list[dict[str, str]]


def exposure_routes(services: Services) -> Sequence[JsonRoute[Any]]:
    """Return ``/v1/exposure/{item_id}`` and ``/v1/admin/exposure``."""

    async def get(_: None, request: Request) -> dict[str, Any]:
        item_id = request.path_params["item_id"]
        ladder = ladder_of(services)
        found = await read(ladder.rungs([item_id], services.clock_ms()))
        if not found:
            raise ApiError(404, "not_found", f"item {shown(item_id)} was never on the ladder")
        moves = await read(ladder.moves_of(item_id))
        return {"request_id": request.scope[ID], **exposure_of(found[0]), "moves": moves}

    async def report(_: None, request: Request) -> dict[str, Any]:
        ladder = ladder_of(services)
        rungs = await read(ladder.rungs(await read(ladder.item_ids()), services.clock_ms()))
        moves = await read(ladder.moves(MOVES_SHOWN))
        return {"request_id": request.scope[ID], **spread_of(services, rungs), "moves": moves}

    return [
        JsonRoute(
            "/v1/exposure/{item_id:path}",
            "catalogue",
            "Where an item stands on the exploration ladder",
            None,
            ExposureAnswer,
            get,
            errors=((404, "the item was never on the ladder"), UNREACHABLE),
            method="GET",
        ),
        JsonRoute(
            "/v1/admin/exposure",
            "admin",
            "How exposure is spread over new items",
            None,
            SpreadAnswer,
            report,
            errors=(UNREACHABLE,),
            method="GET",
        ),
    ]


def ladder_of(services: Services) -> ExposureLadder:
    """Return the ladder.

    Raises:
        ApiError: this process has no state server.
    """
    if services.ladder is None:
        raise ApiError(503, "state_unreachable", "there is no state server to keep a ladder")
    return services.ladder


async def read(answer: Awaitable[Read]) -> Read:
    """Wait for an answer of the ladder.

    Raises:
        ApiError: the state does not answer.
    """
    try:
        return await answer
    except StateUnreachableError as error:
        raise ApiError(503, "state_unreachable", "the ladder cannot be read now") from error


def exposure_of(rung: Rung) -> dict[str, Any]:
    """One item's place, for people."""
    spent = rung.confirmed + rung.held >= rung.budget
    return {
        "item_id": rung.item_id,
        "tier": rung.tier,
        "state": "closed" if rung.closed else "spent" if spent else "open",
        "budget": rung.budget,
        "reserved": rung.held,
        "confirmed": rung.confirmed,
        "first_budget": rung.first,
        "opened_at_ms": rung.opened_ms,
        "viewers": rung.viewers,
        "reactions": dict(zip(REACTIONS, rung.reactions, strict=True)),
    }


def spread_of(services: Services, rungs: Sequence[Rung]) -> dict[str, Any]:
    """Gini and small creators' share over the items on the ladder."""
    items = services.bundle.items
    rows = items.model.vocabulary.rows(rung.item_id for rung in rungs).tolist()
    creators = [(items.shelf.creator_id(row) if row >= 0 else None) or "" for row in rows]
    viewers = [rung.viewers for rung in rungs]
    share, creators_share = small_creator_share(creators, viewers, [rung.first for rung in rungs])
    return {
        "items": len(rungs),
        "by_tier": dict(Counter(str(rung.tier) for rung in rungs)),
        "gini": gini(viewers),
        "small_creators": {"share": share, "of_creators": creators_share},
    }
