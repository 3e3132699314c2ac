"""Who may ask what, and how often: every request passes here before anything else of it is read."""

import asyncio
import math
import time
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.errors import ApiError, error_response
from serving.api.recorded import PRINCIPAL
from serving.api.request_log import FACTS
from serving.records.access import ApiKey, Gate, bearer_text
from serving.records.access import Scope as KeyScope
from serving.records.errors import AccessDenied, RecordsError

PERSPECTIVE_PATH = "/v1alpha1/comments:analyze"  # its clients send their key as ?key=
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
PATH_SCOPES: tuple[tuple[str, KeyScope], ...] = (
    ("/v1/feed", "feed"),
    ("/v1/rank", "feed"),
    ("/v1/related", "feed"),
    ("/v1/events", "events"),
    ("/v1/items", "catalogue"),
    ("/v1/media", "catalogue"),
    ("/v1/exposure", "catalogue"),
    ("/v1/moderate", "moderate"),
    ("/v1/moderations", "moderate"),
    (PERSPECTIVE_PATH, "moderate"),
    ("/v1/creators", "moderate"),
    ("/docs", "feed"),
    ("/openapi.json", "feed"),
)


def scope_of(path: str) -> KeyScope:
    """Return the scope that a path needs; `admin` for every path that is not listed."""
    return next(
        (scope for prefix, scope in PATH_SCOPES if path == prefix or path.startswith(f"{prefix}/")),
        "admin",
    )


class AccessControl:
    """ASGI middleware: 401 without a key, 403 with one that does not do, 429 too often.

    The answer never tells whether a key is unknown, expired, revoked or of another scope.
    """

    def __init__(self, app: ASGIApp, gate: Gate, clock_ms: Callable[[], int]) -> None:
        self._app = app
        self._gate = gate
        self._clock_ms = clock_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the principal of its key, or refuse it unread."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = await self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        text = bearer_text(headers.get(b"authorization"), headers.get(b"x-api-key"))
        if not text and scope["path"] == PERSPECTIVE_PATH:
            text = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        if not text:
            message = "send an API key as Authorization: Bearer or X-API-Key"
            refused = ApiError(401, "key_missing", message)
            return error_response(refused, {"www-authenticate": "Bearer"})
        try:
            key = await self._admitted(text, scope_of(scope["path"]))
        except AccessDenied:
            return error_response(ApiError(403, "access_denied", "the key does not allow this"))
        except RecordsError as error:
            return error_response(ApiError(503, "keys_unreachable", f"no key is known: {error}"))
        scope[PRINCIPAL] = scope[FACTS]["principal"] = key.principal
        wait_s = self._gate.wait_s(key, time.monotonic())
        return too_often(key, wait_s) if wait_s > 0 else None

    async def _admitted(self, text: str, needed: KeyScope) -> ApiKey:
        now_ms = self._clock_ms()
        if self._gate.remembers(text, now_ms):  # a thread would cost more than the whole check
            return self._gate.admit(text, needed, now_ms)
        return await asyncio.to_thread(self._gate.admit, text, needed, now_ms)


def too_often(key: ApiKey, wait_s: float) -> Response:
    """Return the answer to a key that has spent its requests."""
    message = f"more than {key.rate_per_s:g} requests a second, {key.burst:g} at once"
    refused = ApiError(429, "rate_limited", message)
    return error_response(refused, {"retry-after": str(math.ceil(wait_s))})
