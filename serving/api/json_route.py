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

from serving.api.errors import not_valid

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class JsonRoute(Generic[Body]):
    """One POST route and what OpenAPI says of it.

    Attributes:
        path: of the route. tag: its audience. summary: one line.
        body: model of what is asked. answer: model of what is answered.
        status: of a good answer.
        errors: further statuses and what they mean.
        handle: body, request -> the answer's content.
    """

    path: str
    tag: str
    summary: str
    body: type[Body]
    answer: type[BaseModel]
    handle: Callable[[Body, Request], Awaitable[dict[str, Any]]]
    status: int = 200
    errors: tuple[tuple[int, str], ...] = ()

    def route(self) -> Route:
        """Return the route."""

        async def endpoint(request: Request) -> Response:
            request.scope["route"] = route  # for log and metrics, as FastAPI does for its own
            raw = await request.body()
            try:
                body = self.body.model_validate_json(raw)
            except ValidationError as error:
                raise not_valid(error, raw) from None
            content = orjson.dumps(await self.handle(body, request))
            return Response(content, self.status, media_type="application/json")

        route = Route(self.path, endpoint, methods=["POST"])
        return route
