"""The app in replicas of Ray Serve, in several applications behind one HAProxy.

Import this only after `ray_environment` is set: Ray reads it while it is imported.
"""

import logging
import os
import sys
from dataclasses import dataclass
from itertools import accumulate

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve.api import RunTarget
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.schema import RaySection
from serving.api.probes import answers_well
from serving.api.services import Services
from serving.app import Duties, Settings, build, open_state

KEEP_ALIVE_S = 600  # longer than HAProxy keeps idle connections, so that it closes them first


@dataclass(frozen=True)
class Application:
    """Processes of the one app that get the requests below a path.

    Attributes:
        prefix: "/" is every path that no other application has.
        replicas: how many processes. duties: of each.
    """

    name: str
    prefix: str
    replicas: int
    duties: Duties


def applications(section: RaySection) -> list[Application]:
    """Feeds and events wait neither for each other nor for uploads, verdicts and operators.

    Serve gives an application one prefix: what is moderated and what is administered have several,
    so they share the application of all other paths.
    """
    return [
        Application("feed", "/v1/feed", section.replicas, Duties(moderates=False)),
        Application(
            "events", "/v1/events", section.event_replicas, Duties(feeds=False, moderates=False)
        ),
        Application("other", "/", section.other_replicas, Duties()),
    ]


class WholePaths:
    """ASGI middleware: routes name whole paths, wherever Serve has mounted the app.

    Else a route that is exactly the prefix would be found under the empty path only.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as if the app were mounted nowhere."""
        if scope["type"] == "http":
            scope["root_path"] = ""
        await self._app(scope, receive, send)


def speak() -> None:
    """Let what the app says of itself come out where the launcher's own words do.

    Serve takes a replica's `sys.stderr` for lines of its own log, which are below its level.
    """
    out = logging.StreamHandler(sys.__stderr__)
    out.setFormatter(logging.Formatter("%(message)s"))
    ours = logging.getLogger("tidegate")
    ours.handlers, ours.propagate = [out], False
    ours.setLevel(logging.INFO)


@serve.ingress()
class Replica:
    """One process that answers requests."""

    def __init__(self, settings: Settings, first: int, duties: Duties) -> None:
        """Build nothing yet.

        Args:
            settings: everything that is configured.
            first: number of the application's first process among all of this machine.
            duties: of the application.
        """
        self._settings = settings
        self._first = first
        self._duties = duties

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the app here: it holds sessions and sockets that cannot be sent."""
        speak()
        number = self._first + serve.get_replica_context().rank.rank
        state = open_state(self._settings.serving.state)
        app = build(self._settings, state, str(number), True, self._duties)
        app.add_middleware(WholePaths)
        self._services: Services = app.state.services
        return app

    def check_health(self) -> None:
        """Let Ray replace a replica whose model no longer answers as it did.

        Raises:
            RuntimeError: the golden question has another answer.
        """
        if not answers_well(self._services.bundle):
            raise RuntimeError("the golden question has another answer than when it was loaded")


def start(settings: Settings) -> None:
    """Start a cluster of this machine and serve on it; return when it answers."""
    section, http = settings.serving.ray, settings.serving.http
    parts = applications(section)
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, sum(part.replicas for part in parts)),
        object_store_memory=section.object_store_bytes,
        include_dashboard=False,
        logging_level=logging.WARNING,
    )
    serve.start(
        proxy_location="HeadOnly",
        http_options={
            "host": http.address,
            "port": http.port,
            "keep_alive_timeout_s": KEEP_ALIVE_S,
        },
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    firsts = accumulate((part.replicas for part in parts), initial=0)
    serve.run_many(
        [target(settings, part, first) for part, first in zip(parts, firsts, strict=False)]
    )


def target(settings: Settings, part: Application, first: int) -> RunTarget:
    """Return what Serve is to run for an application, whose first process has this number."""
    replica = serve.deployment(
        Replica,
        name=part.name,
        num_replicas=part.replicas,
        max_ongoing_requests=settings.serving.ray.replica_ongoing_limit,
        ray_actor_options={"num_cpus": 1},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    return RunTarget(replica.bind(settings, first, part.duties), part.name, part.prefix)


def stop() -> None:
    """Let the replicas finish what they have begun, then end the cluster."""
    serve.shutdown()
    ray.shutdown()
