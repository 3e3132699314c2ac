"""Routes of the operator: alive, ready, metrics."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from serving.api.errors import ApiError, ErrorAnswer
from serving.api.services import ServedBundle, Services


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Ready(BaseModel):
    """The process serves; without its state it serves what is popular."""

    status: str = "ready"
    bundle: str
    state: str


def probe_routes(services: Services) -> APIRouter:
    """Return ``/healthz``, ``/readyz`` and ``/metrics``."""
    router = APIRouter(tags=["probes"])

    @router.get("/healthz")
    async def healthz() -> Alive:
        return Alive()

    @router.get("/readyz", responses={503: {"model": ErrorAnswer}})
    async def readyz() -> Ready:
        bundle = services.bundle
        if not await asyncio.to_thread(answers_well, bundle):
            version = bundle.engine.model.version
            message = f"bundle {version} no longer gives the answer it gave when it was loaded"
            raise ApiError(503, "not_ready", message)
        state = "reachable" if await services.state.reachable() else "unreachable"
        return Ready(bundle=bundle.engine.model.version, state=state)

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def answers_well(bundle: ServedBundle) -> bool:
    """Ask the golden question through the whole feed and compare with the known answer."""
    page = bundle.reference.feed(bundle.question, bundle.rules)
    return tuple(item.item_id for item in page.items) == bundle.answer
