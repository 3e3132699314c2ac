"""The route of what is like one item."""

import time
from functools import partial
from typing import Any

from fastapi import Request

from serving.api.errors import ApiError
from serving.api.feed import BUSY, answered, asked_for, asker_of, committed
from serving.api.json_route import JsonRoute
from serving.api.request_log import ID
from serving.api.schemas import PageAnswer, RelatedBody
from serving.api.services import Services
from serving.feed.contracts import FeedRequest, Page
from serving.feed.engine import FeedEngine
from serving.feed.rules import FeedRules
from serving.live.publish import SPARE_ITEMS


def related_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/related``."""

    async def related(body: RelatedBody, request: Request) -> dict[str, Any]:
        started = time.perf_counter()
        async with services.admission.place(request, started) as deadline_s:
            asker = await asker_of(services, body, request.scope[ID], body.k)
            bundle = services.bundle
            wanted = body.k + SPARE_ITEMS
            asked = await asked_for(services, bundle, body, asker, wanted, tuple(body.exclude))
            rules = services.rules(body.context.surface, asked.standing.region)
            relating = partial(related_to, bundle.engine, body.item_id)
            page = services.admission.compute(relating, asked, rules, deadline_s)
            page = await committed(services, page, asker.viewing, asked.now_ms)
        return answered(page, request, services, started)

    return [
        JsonRoute(
            "/v1/related",
            "feed",
            "What is like one item",
            RelatedBody,
            PageAnswer,
            related,
            errors=((404, "neither bundle nor catalogue know the item"), *BUSY),
        )
    ]


def related_to(engine: FeedEngine, item_id: str, asked: FeedRequest, rules: FeedRules) -> Page:
    """`FeedEngine.related` of this item.

    Raises:
        ApiError: the item is not known.
    """
    try:
        return engine.related(asked, item_id, rules)
    except KeyError as error:
        raise ApiError(404, "not_found", f"item {item_id}: not known here") from error
