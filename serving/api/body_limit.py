"""Bodies over the limit are refused, and kept nowhere."""

import asyncio
import contextlib
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.errors import ApiError, Detail, error_response

READ_ON_BYTES = 64 << 20  # of an announced body: who still writes when we hang up loses the answer
READ_ON_S = 5.0


class BodyLimit:
    """ASGI middleware: 413 for a body above the limit, announced or sent in chunks."""

    def __init__(
        self, app: ASGIApp, limit_bytes: int, of_paths: Mapping[str, int] | None = None
    ) -> None:
        """Wrap an app.

        Args:
            app: to wrap.
            limit_bytes: of any request.
            of_paths: limits of single paths, instead.
        """
        self._app = app
        self._limit_bytes = limit_bytes
        self._of_paths = of_paths or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body while it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._of_paths.get(scope["path"], self._limit_bytes)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            if int(announced) <= READ_ON_BYTES:
                await _read_on(receive)
            refusal = error_response(_too_large(int(announced), limit), {"connection": "close"})
            await refusal(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(received, limit)
            return message

        await self._app(scope, counted, send)


async def _read_on(receive: Receive) -> None:
    more = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READ_ON_S):
            while more:
                more = (await receive()).get("more_body", False)


def _too_large(size_bytes: int, limit_bytes: int) -> ApiError:
    message = f"the body has {size_bytes} bytes or more, the limit is {limit_bytes}"
    detail = Detail(field="body", value=size_bytes, message=message, limit=limit_bytes)
    return ApiError(413, "body_too_large", message, [detail])
