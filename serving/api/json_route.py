"""Routes that take and give JSON: body -> model -> handler -> answer.

Plain Starlette routes: the general path of FastAPI costs more than the whole feed.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from starlette.routing import Route

from serving.api.errors import lines_not_json, not_valid, not_valid_lines

Body = TypeVar("Body", bound=BaseModel)
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class JsonRoute(Generic[Body]):
    """One POST route and what OpenAPI says of it.

    Attributes:
        path: of the route. tag: its audience. summary: one line.
        body: model of what is asked. answer: model of what is answered.
        status: of a good answer.
        errors: further statuses and what they mean.
        handle: body, request -> the answer's content.
        lines: the body's one list, whose entries may also come as lines of NDJSON; "" if not.
    """

    path: str
    tag: str
    summary: str
    body: type[Body]
    answer: type[BaseModel]
    handle: Callable[[Body, Request], Awaitable[dict[str, Any]]]
    status: int = 200
    errors: tuple[tuple[int, str], ...] = ()
    lines: str = ""

    def route(self) -> Route:
        """Return the route."""

        async def endpoint(request: Request) -> Response:
            request.scope["route"] = route  # for log and metrics, as FastAPI does for its own
            raw = await request.body()
            as_lines = request.headers.get("content-type", "").startswith(NDJSON)
            body = self._of_lines(raw) if self.lines and as_lines else self._of_json(raw)
            content = orjson.dumps(await self.handle(body, request))
            return Response(content, self.status, media_type="application/json")

        route = Route(self.path, endpoint, methods=["POST"])
        return route

    def _of_json(self, raw: bytes) -> Body:
        try:
            return self.body.model_validate_json(raw)
        except ValidationError as error:
            raise not_valid(error, raw) from None

    def _of_lines(self, raw: bytes) -> Body:
        """Lines are parsed one by one: glued together, a broken one could pass for two."""
        lines = {n: line for n, line in enumerate(raw.split(b"\n"), start=1) if line.strip()}
        rows = []
        unreadable = []
        for n, line in lines.items():
            try:
                rows.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                unreadable.append((n, str(error)))
        if unreadable:
            raise lines_not_json(unreadable)
        numbers = list(lines)
        try:
            return self.body.model_validate_json(orjson.dumps({self.lines: rows}))
        except ValidationError as error:
            raise not_valid_lines(error, numbers) from None
