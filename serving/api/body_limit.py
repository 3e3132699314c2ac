"""Bodies over the limit are refused before they are read."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.errors import ApiError, Detail, error_response


class BodyLimit:
    """ASGI middleware: 413 for a body above the limit, announced or sent in chunks."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body while it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._limit_bytes:
            refusal = error_response(self._too_large(int(announced)), {"connection": "close"})
            await refusal(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit_bytes:
                raise self._too_large(received)
            return message

        await self._app(scope, counted, send)

    def _too_large(self, size_bytes: int) -> ApiError:
        message = f"the body has {size_bytes} bytes or more, the limit is {self._limit_bytes}"
        detail = Detail(field="body", value=size_bytes, message=message, limit=self._limit_bytes)
        return ApiError(413, "body_too_large", message, [detail])
