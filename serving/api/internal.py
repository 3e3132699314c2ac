"""Probes and metrics of one process on a listener of their own, which asks for no keys."""

import asyncio
import logging
import socket
from contextlib import nullcontext

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from serving.api.errors import ApiError, api_error, http_error
from serving.api.probes import probe_routes
from serving.api.services import Services

log = logging.getLogger("tidegate.internal")


def probes_app(services: Services) -> FastAPI:
    """Return an app of probes and metrics alone."""
    app = FastAPI(
        openapi_url=None, exception_handlers={HTTPException: http_error, ApiError: api_error}
    )
    app.include_router(probe_routes(services))
    return app


async def serve_probes(services: Services, address: str, port: int) -> None:
    """Serve them until cancelled; a taken port is logged, and feeds go on without.

    Args:
        services: of the process. address: to listen on. port: 0 = any free one.
    """
    try:
        listener = socket.create_server((address, port))
    except OSError as error:
        log.error("no probes on internal port %s of %s: %s", port, address, error.strerror)
        return
    with listener:
        log.info("probes and metrics on http://%s:%s", *listener.getsockname()[:2])
        config = uvicorn.Config(
            probes_app(services),
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
        )
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[method-assign,assignment] # the host's
        try:
            await server.serve([listener])
        except asyncio.CancelledError:
            if server.started:
                await server.shutdown([listener])
            raise
