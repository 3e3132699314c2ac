"""The ASGI app: routes, middleware, errors."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from serving.api.access import AccessControl
from serving.api.banks import bank_routes
from serving.api.body_limit import BodyLimit
from serving.api.bundles import bundle_routes
from serving.api.catalogue import MEDIA_PATH, catalogue_routes
from serving.api.certificates import certificate_routes
from serving.api.checks import check_routes
from serving.api.controls import control_routes
from serving.api.erasures import erasure_routes
from serving.api.errors import ApiError, api_error, http_error
from serving.api.events import event_routes
from serving.api.exposure import exposure_routes
from serving.api.feed import feed_routes
from serving.api.jobs import job_routes
from serving.api.json_route import JsonRoute
from serving.api.moderation import PICTURE_PATHS, moderation_routes
from serving.api.openapi import describe
from serving.api.probes import probe_routes
from serving.api.related import related_routes
from serving.api.request_log import Lines, RequestLog
from serving.api.services import Services
from serving.api.takedowns import takedown_routes
from serving.api.users import user_routes
from serving.live.replica import first_read

CANCEL_AGAIN_S = 1.0


def create_app(
    services: Services,
    body_limit_bytes: int,
    lines: Lines | None = None,
    host_returns_id: bool = False,
) -> FastAPI:
    """Return the app.

    Args:
        services: what the routes need; its state is closed with the app, and so is the log.
        body_limit_bytes: of any request.
        lines: where the access log goes; None keeps none.
        host_returns_id: the server itself answers with the request's X-Request-ID.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(run()) for run in services.background]
        if services.link is not None:
            await first_read(services.mirror)
        yield
        await ended(tasks)
        await services.state.close()
        services.stores.close()
        if services.moderation is not None:
            services.moderation.close()
        if lines is not None:
            lines.close()

    app = FastAPI(
        title="Tidegate",
        summary="Ranks what people see next.",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirected POST loses its body with many clients
        exception_handlers={HTTPException: http_error, ApiError: api_error},
    )
    app.state.services = services
    routes = json_routes(services)
    app.router.routes.extend(route.route() for route in routes)
    app.include_router(probe_routes(services))
    app.include_router(bundle_routes(services))
    describe(app, routes)
    # The middleware added last stands outermost.
    larger = dict.fromkeys(PICTURE_PATHS, services.moderation_limit_bytes)
    larger[MEDIA_PATH] = services.media_limit_bytes
    app.add_middleware(BodyLimit, limit_bytes=body_limit_bytes, of_paths=larger)
    if services.gate is not None:
        app.add_middleware(AccessControl, gate=services.gate, clock_ms=services.clock_ms)
    app.add_middleware(
        RequestLog, lines=lines, metrics=services.metrics, host_returns_id=host_returns_id
    )
    return app


async def ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: a cancellation that meets a timeout can be lost."""
    while waiting := [task for task in tasks if not task.done()]:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def json_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return every route that takes or gives plain JSON."""
    return [
        *feed_routes(services),
        *related_routes(services),
        *event_routes(services),
        *catalogue_routes(services),
        *user_routes(services),
        *erasure_routes(services),
        *moderation_routes(services),
        *check_routes(services),
        *certificate_routes(services),
        *bank_routes(services),
        *job_routes(services),
        *takedown_routes(services),
        *control_routes(services),
        *exposure_routes(services),
    ]
