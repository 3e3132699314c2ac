"""Routes of feed services: a page of the feed, and the ranking of given candidates."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from datetime import time as time_of_day
from functools import partial
from typing import Any

from fastapi import Request

from serving.api.errors import Detail, invalid, shown
from serving.api.json_route import JsonRoute
from serving.api.request_log import FACTS, ID
from serving.api.schemas import (
    FeedAnswer,
    FeedBody,
    HistoryEvent,
    RankAnswer,
    RankBody,
    Who,
)
from serving.api.services import ServedBundle, Services
from serving.feed.contracts import Behaviour, FeedRequest, Page, PageItem
from serving.feed.cursor import CursorError
from serving.feed.engine import FeedEngine
from serving.feed.hours import hour_of
from serving.feed.rules import FeedRules
from serving.feed.terms import Standing
from serving.feed.words import words_of
from serving.live.publish import AUDIENCE, SPARE_ITEMS, Viewing, published, shortened
from serving.live.state import StateUnreachableError, UserState, is_impression
from serving.profiles import standing_of
from serving.records.errors import RecordsError

BUSY = ((503, "the queue is full or the deadline passed; Retry-After says when to ask again"),)


@dataclass(frozen=True)
class Asker:
    """Who asks.

    Attributes:
        viewing: for whom and where the page is made.
        standing: what is recorded of them.
        impersonal: why the answer must not be personal; codes.
    """

    viewing: Viewing
    standing: Standing
    impersonal: tuple[str, ...]


def feed_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/feed`` and ``/v1/rank``."""

    async def feed(body: FeedBody, request: Request) -> dict[str, Any]:
        started = time.perf_counter()
        async with services.admission.place(request, started) as deadline_s:
            asker = await asker_of(services, body, request.scope[ID], body.k)
            bundle, owner = services.bundle, owner_of(body)
            paged = paged_before(services, body.cursor, owner)
            wanted = body.k + SPARE_ITEMS
            asked = await asked_for(services, bundle, body, asker, wanted, tuple(body.exclude))
            asked = replace(asked, paged=paged)
            rules = services.rules(body.context.surface, asked.standing.region)
            page = services.admission.compute(bundle.engine.feed, asked, rules, deadline_s)
            page = await committed(services, page, asker.viewing, asked.now_ms)
        served = (*paged, *(item.item_id for item in page.items))
        more = len(page.items) == body.k
        cursor = services.cursors.issue(served, owner, asked.now_ms) if more else None
        return answered(page, request, services, started) | {"cursor": cursor}

    async def rank(body: RankBody, request: Request) -> dict[str, Any]:
        started = time.perf_counter()
        async with services.admission.place(request, started) as deadline_s:
            asker = await asker_of(services, body, request.scope[ID], body.k)
            bundle = services.bundle
            asked = await asked_for(services, bundle, body, asker, body.k, ())
            rules = services.rules(body.context.surface, asked.standing.region)
            ranking = partial(ranked_by, bundle.engine, body.candidates)
            page = services.admission.compute(ranking, asked, rules, deadline_s)
            page = shortened(page, asker.viewing)
        removed = [{"item_id": one.item_id, "reason": one.reason} for one in page.removed]
        return answered(page, request, services, started) | {"removed": removed}

    say, tag = "A personal page of the feed", "feed"
    return [
        JsonRoute("/v1/feed", tag, say, FeedBody, FeedAnswer, feed, errors=BUSY),
        JsonRoute(
            "/v1/rank", tag, "Rank given candidates", RankBody, RankAnswer, rank, errors=BUSY
        ),
    ]


def ranked_by(
    engine: FeedEngine, candidates: Sequence[str], asked: FeedRequest, rules: FeedRules
) -> Page:
    """`FeedEngine.rank` of these candidates."""
    return engine.rank(asked, candidates, rules)


async def committed(services: Services, page: Page, viewing: Viewing, now_ms: int) -> Page:
    """What of a page may be answered; see `published`."""
    committing = time.perf_counter()
    page = await published(services.state, services.mirror, page, viewing, now_ms)
    page.stage_ms["commit"] = (time.perf_counter() - committing) * 1000
    return page


def owner_of(body: Who) -> str:
    """Whom a cursor belongs to."""
    return f"{body.user_id or ''}\n{body.context.surface or ''}"


def paged_before(services: Services, cursor: str | None, owner: str) -> tuple[str, ...]:
    """Ids of the pages before the one that a cursor leads to.

    Raises:
        ApiError: the cursor cannot be followed.
    """
    if cursor is None:
        return ()
    try:
        return services.cursors.read(cursor, owner, services.clock_ms())
    except CursorError as error:
        told = Detail(field="cursor", value=shown(cursor), message=str(error))
        raise invalid([told]) from error


async def asker_of(services: Services, body: Who, request_id: str, k: int) -> Asker:
    """Who asks by the records, and for whom and where the page is made.

    The recorded region decides what is visible, as it decides what is filtered.
    """
    standing, impersonal = await _standing_of(services, body, services.clock_ms())
    viewing = Viewing(
        request_id=request_id,
        user_id=body.user_id or "",
        region=standing.region or "",
        surface=body.context.surface or "",
        k=k,
        trusted=services.mirror.trusted(time.monotonic()),
        subject=services.subject_of(body.user_id) if body.user_id else "",
    )
    return Asker(viewing, standing, impersonal)


async def asked_for(
    services: Services,
    bundle: ServedBundle,
    body: Who,
    asker: Asker,
    k: int,
    excluded: tuple[str, ...],
) -> FeedRequest:
    """Join what the request says with what the state knows of its user and its items."""
    now_ms = services.clock_ms()
    engine, region = bundle.engine, asker.viewing.region
    # Before the state is read: a mirror that learns more meanwhile does no harm.
    names, shelf = engine.model.vocabulary, engine.shelf
    hidden = services.hidden.mask(names, shelf, region, AUDIENCE)
    limited = services.limited.mask(names, shelf, region, AUDIENCE)
    state, degraded = await _known_of(services, body.user_id, now_ms)
    told = [_behaviour(event, now_ms) for event in body.history or ()]
    recent = (*(one for one in told if not is_impression(one)), *state.recent)
    return FeedRequest(
        k=k,
        now_ms=now_ms,
        recent=() if asker.impersonal else recent,
        seen=(*(one.item_id for one in told if is_impression(one)), *state.seen),
        excluded=excluded,
        hidden=hidden,
        limited=limited,
        told_hour=told_hour(body.context.local_time),
        standing=asker.standing,
        degraded=(*asker.impersonal, *degraded),
        explain=body.explain,
        explore="state_unreachable" not in degraded,
    )


def told_hour(local_time: datetime | time_of_day | None) -> float | None:
    """The hour that a caller's clock shows."""
    return None if local_time is None else hour_of(local_time)


def answered(page: Page, request: Request, services: Services, started: float) -> dict[str, Any]:
    """Return the answer's content, and note its facts for log and metrics."""
    metrics = services.metrics
    for stage, ms in page.stage_ms.items():
        metrics.stage_seconds.labels(stage).observe(ms / 1000)
    for why in page.degraded:
        metrics.degraded.labels(why).inc()
    metrics.nan_scores.inc(page.nan_scores)
    request.scope[FACTS].update(
        bundle=page.bundle, items=len(page.items), degraded=page.degraded, stages=page.stage_ms
    )
    return {
        "request_id": request.scope[ID],
        "items": [_item(item) for item in page.items],
        "bundle": page.bundle,
        "took_ms": round((time.perf_counter() - started) * 1000, 3),
        "degraded": page.degraded,
    }


async def _known_of(
    services: Services, user_id: str | None, now_ms: int
) -> tuple[UserState, tuple[str, ...]]:
    if user_id is None:
        return UserState(), ()
    try:
        return await services.state.read(user_id, now_ms), ()
    except StateUnreachableError:
        return UserState(), ("state_unreachable",)


async def _standing_of(
    services: Services, body: Who, now_ms: int
) -> tuple[Standing, tuple[str, ...]]:
    """Who asks by the records, and why the answer must not be personal, if so."""
    region = body.context.region
    if body.user_id is None:
        return Standing(region), ()
    try:
        user = await services.profiles.of(body.user_id)
    except RecordsError:  # they may have opted out, and may be minors
        return Standing(region, age_known=True), ("profile_unreachable",)
    opted_out = user is not None and not user.personalised
    return standing_of(user, region, now_ms), ("not_personalised",) if opted_out else ()


def _behaviour(event: HistoryEvent, now_ms: int) -> Behaviour:
    return Behaviour(event.item_id, event.type, epoch_ms(event.time) or now_ms, event.watch_ms)


def epoch_ms(moment: datetime | None) -> int:
    """Milliseconds since 1970; 0 for None."""
    return 0 if moment is None else round(moment.timestamp() * 1000)


def _item(item: PageItem) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "item_id": item.item_id,
        "score": item.score,
        "source": item.source,
        "position": item.position,
        "creator_id": item.creator_id,
    }
    if item.reasons:
        fields["reasons"] = [
            {"code": why.code, "value": why.value, "words": words_of(why)._asdict()}
            for why in item.reasons
        ]
    return fields
