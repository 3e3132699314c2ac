"""The app in replicas of Ray Serve, behind HAProxy.

Import this only after `ray_environment` is set: Ray reads it while it is imported.
"""

import logging
import os

import ray
from fastapi import FastAPI
from ray import serve

from serving.api.probes import answers_well
from serving.api.services import Services
from serving.app import Settings, build, open_state

KEEP_ALIVE_S = 600  # longer than HAProxy keeps idle connections, so that it closes them first


@serve.ingress()
class FeedReplica:
    """One process that answers requests."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the app here: it holds sessions and sockets that cannot be sent."""
        rank = serve.get_replica_context().rank.rank
        state = open_state(self._settings.serving.state)
        app = build(self._settings, state, process=str(rank), host_returns_id=True)
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
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, section.replicas),
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
    replica = serve.deployment(
        FeedReplica,
        name="feed",
        num_replicas=section.replicas,
        max_ongoing_requests=section.replica_ongoing_limit,
        ray_actor_options={"num_cpus": 1},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    serve.run(replica.bind(settings), name="feed", route_prefix="/")


def stop() -> None:
    """Let the replicas finish what they have begun, then end the cluster."""
    serve.shutdown()
    ray.shutdown()
