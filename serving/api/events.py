"""Routes of event senders."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Request

from models.features import ACTIONS, action_of
from serving.api.errors import ApiError, Detail, invalid, shown
from serving.api.feed import epoch_ms
from serving.api.json_route import JsonRoute
from serving.api.request_log import FACTS, ID
from serving.api.schemas import EventBody, EventsAnswer, EventsBody
from serving.api.services import Services
from serving.feed.exposure import REACTIONS
from serving.feed.trends import EVERYWHERE
from serving.live.event_stream import (
    Appended,
    BarredEventsError,
    ConflictingEventsError,
    LoggedEvent,
    logged_event,
)
from serving.live.pages import Impression
from serving.live.state import StateFullError, StateUnreachableError


def event_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/events``."""

    async def events(body: EventsBody, request: Request) -> dict[str, Any]:
        now_ms = services.clock_ms()
        earliest_ms, latest_ms = now_ms - services.past_limit_ms, now_ms + services.future_limit_ms
        if faults := batch_faults(body.events, earliest_ms, latest_ms):
            raise invalid(faults)
        done = await _appended(services, body.events, now_ms)
        for event in body.events:
            services.metrics.events.labels(event.type).inc()
        request.scope[FACTS].update(events=len(body.events))
        return {
            "request_id": request.scope[ID],
            "accepted": done.fresh,
            "duplicates": len(done.duplicates),
        }

    return [
        JsonRoute(
            "/v1/events",
            "events",
            "Report what users did; the next feed knows it",
            EventsBody,
            EventsAnswer,
            events,
            status=202,
            errors=(
                (409, "an id is known with another body, or a user was erased; no event was kept"),
                (503, "the events cannot be kept now; send the same batch again"),
                (507, "the disk is full; send the same batch again when there is room"),
            ),
            lines="events",
        )
    ]


def batch_faults(events: Sequence[EventBody], earliest_ms: int, latest_ms: int) -> list[Detail]:
    """Return the faults that only show between rows or against the clock."""
    faults = []
    first: dict[str, int] = {}
    for n, event in enumerate(events):
        if (known := first.setdefault(event.event_id, n)) != n:
            message = f"repeats the event_id of events.{known}"
            field = f"events.{n}.event_id"
            faults.append(Detail(field=field, value=shown(event.event_id), message=message))
        time_ms = epoch_ms(event.time)
        if time_ms > latest_ms:
            faults.append(_skewed(n, event, "lies in the future", latest_ms))
        elif time_ms < earliest_ms:
            faults.append(_skewed(n, event, "lies too far in the past", earliest_ms))
    return faults


def prepared(event: EventBody, region: str, subject: str) -> LoggedEvent:
    """An event as the stream keeps it: what was not said is left out."""
    said = {name: value for name, value in event.__dict__.items() if value is not None}
    return logged_event(said | {"time": epoch_ms(event.time)}, region, subject)


def witnessed(
    services: Services, events: Sequence[EventBody], subjects: Sequence[str]
) -> list[Impression]:
    """The impressions of a batch, and the reactions by which the ladder judges items."""
    bundle = services.bundle.items
    rows = bundle.model.vocabulary.rows(event.item_id for event in events)
    durations = bundle.shelf.duration_ms
    found = []
    for event, row, subject in zip(events, rows.tolist(), subjects, strict=True):
        duration_ms = float(durations[row]) if row >= 0 else math.nan
        reaction = reaction_of(event.type, event.watch_ms, duration_ms)
        if event.type == "impression" or reaction:
            said = event.request_id or ""
            found.append(Impression(event.user_id, event.item_id, said, subject, reaction))
    return found


def reaction_of(event_type: str, watch_ms: float | None, duration_ms: float) -> str:
    """The reaction that an event tells of, one of ``REACTIONS``; empty for none."""
    known_ms = None if math.isnan(duration_ms) else duration_ms
    action = ACTIONS[action_of(event_type, watch_ms, known_ms)]
    if action in ("long_view", "complete"):
        return "completion"
    return action if action in REACTIONS else ""


async def _appended(services: Services, events: Sequence[EventBody], now_ms: int) -> Appended:
    subjects = [services.subject_of(event.user_id) for event in events]
    regions = await _regions(services, events)
    logged = [
        prepared(one, regions[one.user_id], subject)
        for one, subject in zip(events, subjects, strict=True)
    ]
    impressions = witnessed(services, events, subjects)
    try:
        return await services.state.append(logged, impressions, now_ms)
    except StateFullError as error:
        message = "the disk is full; send the same events again when there is room"
        raise ApiError(507, "storage_full", message) from error
    except StateUnreachableError as error:
        message = "the batch is not known to be kept whole; send the same events again"
        raise ApiError(503, "state_unreachable", message) from error
    except ConflictingEventsError as error:
        message = "this event_id is known with another body"
        raise _refused(events, "event_id", error.positions, "conflicting_event", message) from error
    except BarredEventsError as error:
        message = "this user was erased"
        raise _refused(events, "user_id", error.positions, "user_erased", message) from error


async def _regions(services: Services, events: Sequence[EventBody]) -> dict[str, str]:
    """Where what each user did counts, by user."""
    users = list(dict.fromkeys(event.user_id for event in events))
    try:
        found = await services.state.regions(users)
    except StateUnreachableError:  # whether the events can be kept is told by keeping them
        found = [""] * len(users)
    return {user: region or EVERYWHERE for user, region in zip(users, found, strict=True)}


def _refused(
    events: Sequence[EventBody], field: str, positions: Sequence[int], code: str, message: str
) -> ApiError:
    details = [
        Detail(field=f"events.{n}.{field}", value=shown(getattr(events[n], field)), message=message)
        for n in positions
    ]
    told = f"{details[0].field}: {message} ({len(details)} of the batch; nothing was kept)"
    return ApiError(409, code, told, details)


def _skewed(n: int, event: EventBody, message: str, limit_ms: int) -> Detail:
    limit = str(datetime.fromtimestamp(limit_ms / 1000, UTC))
    return Detail(field=f"events.{n}.time", value=shown(event.time), message=message, limit=limit)
