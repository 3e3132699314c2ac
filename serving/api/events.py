"""Routes of event senders."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request

from serving.api.errors import ApiError, Detail, invalid, shown
from serving.api.feed import epoch_ms
from serving.api.json_route import JsonRoute
from serving.api.request_log import FACTS, ID
from serving.api.schemas import EventBody, EventsAnswer, EventsBody
from serving.api.services import Services
from serving.feed.contracts import Behaviour
from serving.live.state import StateUnreachableError, UserEvent


def event_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/events``."""

    async def events(body: EventsBody, request: Request) -> dict[str, Any]:
        faults = batch_faults(body.events, services.clock_ms() + services.future_limit_ms)
        if faults:
            raise invalid(faults)
        try:
            await services.state.append([_user_event(event) for event in body.events])
        except StateUnreachableError as error:
            raise ApiError(
                503, "state_unreachable", "no event was kept; send them again"
            ) from error
        for event in body.events:
            services.metrics.events.labels(event.type).inc()
        request.scope[FACTS].update(events=len(body.events))
        return {"request_id": request.scope[ID], "accepted": len(body.events)}

    return [
        JsonRoute(
            "/v1/events",
            "events",
            "Report what users did; the next feed knows it",
            EventsBody,
            EventsAnswer,
            events,
            status=202,
            errors=((503, "the events cannot be kept now; none was"),),
        )
    ]


def batch_faults(events: Sequence[EventBody], latest_ms: int) -> list[Detail]:
    """Return the faults that only show between rows or against the clock."""
    faults = []
    first: dict[str, int] = {}
    for n, event in enumerate(events):
        if (known := first.setdefault(event.event_id, n)) != n:
            message = f"repeats the event_id of events.{known}"
            field = f"events.{n}.event_id"
            faults.append(Detail(field=field, value=shown(event.event_id), message=message))
        if epoch_ms(event.time) > latest_ms:
            faults.append(
                Detail(
                    field=f"events.{n}.time",
                    value=shown(event.time),
                    message="lies in the future",
                    limit=latest_ms,
                )
            )
    return faults


def _user_event(event: EventBody) -> UserEvent:
    behaviour = Behaviour(event.item_id, event.type, epoch_ms(event.time), event.watch_ms)
    return UserEvent(event.user_id, behaviour)
