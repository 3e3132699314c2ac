"""Request ids, the access log and request metrics: what every request passes through."""

import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.errors import ApiError, error_response
from serving.api.metrics import Metrics

log = logging.getLogger("tidegate.requests")

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
FACTS = "tidegate.facts"  # what a handler adds to its line in the access log
ID = "tidegate.request_id"
CLIENT_GONE = 499  # nginx's number for a client that did not wait; only ever in the log


class Lines(Protocol):
    """Where access log lines go."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Keep one record."""


class JsonLines:
    """A file of JSON lines that is set aside when it is full; one file is kept beside it."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._limit_bytes = limit_bytes
        self._open()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line; it is with the system when this returns."""
        self._size += os.write(self._file, orjson.dumps(record) + b"\n")
        if self._size >= self._limit_bytes:
            os.close(self._file)
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._open()

    def close(self) -> None:
        """Nothing can be written afterwards."""
        os.close(self._file)

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = os.fstat(self._file).st_size


class RequestLog:
    """ASGI middleware: names each request, logs and measures it, and answers what broke.

    A line holds the route's template, never the path, and no user id.
    """

    def __init__(
        self, app: ASGIApp, lines: Lines | None, metrics: Metrics, host_returns_id: bool
    ) -> None:
        """Wrap an app.

        Args:
            app: to wrap.
            lines: where the access log goes; None keeps none.
            metrics: counted in.
            host_returns_id: the server adds the X-Request-ID of the request to the answer.
        """
        self._app = app
        self._lines = lines
        self._metrics = metrics
        self._host_returns_id = host_returns_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and record how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = scope[ID] = request_id_of(scope)
        scope[FACTS] = {}
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not self._host_returns_id:
                    message["headers"] = [
                        *message.get("headers", ()),
                        (b"x-request-id", request_id.encode()),
                    ]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception:
            log.exception("request %s failed", request_id)
            if not status:
                failure = ApiError(500, "internal", f"request {request_id} failed; see the log")
                await error_response(failure)(scope, receive, send_named)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.requests.labels(route, status).inc()
        self._metrics.seconds.labels(route).observe(took_s)
        if self._lines is not None:
            self._lines.write(
                {
                    "time": datetime.now(UTC),
                    "request_id": scope[ID],
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "took_ms": round(took_s * 1000, 3),
                    **scope[FACTS],
                }
            )


def request_id_of(scope: Scope, new: Callable[[], str] = lambda: uuid.uuid4().hex) -> str:
    """Return the caller's X-Request-ID if it is a plain short one, else a new id."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return new()
