"""The app in this process, under uvicorn."""

import logging
import signal
import socket
import threading

import uvicorn
from threadpoolctl import threadpool_limits

from serving.app import Settings, build, open_state

log = logging.getLogger("tidegate.launcher")

DRAIN_LIMIT_S = 10


def serve(settings: Settings, listener: socket.socket, ended: threading.Event) -> None:
    """Serve on a bound socket until SIGINT or SIGTERM, then finish what has begun.

    Args:
        settings: of the app. listener: bound. ended: set where a signal came before this call.
    """
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
    server = uvicorn.Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):  # from here on, none of them raises anything
        signal.signal(number, server.handle_exit)
    server.should_exit = ended.is_set()
    listener.listen(config.backlog)
    log.info("serving on http://%s:%s under uvicorn", *listener.getsockname()[:2])
    server.run(sockets=[listener])
