"""The app in this process, under uvicorn."""

import logging
import socket

import uvicorn
from threadpoolctl import threadpool_limits

from serving.app import Settings, build, open_state

log = logging.getLogger("tidegate.launcher")

DRAIN_LIMIT_S = 10


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve on a bound socket until SIGINT or SIGTERM, then finish what has begun."""
    threadpool_limits(1)  # small products are slower on several threads, and stall each other
    app = build(settings, open_state(settings.serving.state))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_LIMIT_S,
    )
    listener.listen(config.backlog)
    log.info("serving on http://%s:%s under uvicorn", *listener.getsockname()[:2])
    uvicorn.Server(config).run(sockets=[listener])
