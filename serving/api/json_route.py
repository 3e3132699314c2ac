"""Routes that take and give JSON: body -> model -> handler -> answer.

Plain Starlette routes: the general path of FastAPI costs more than the whole feed.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from starlette.routing import Route

from serving.api.errors import ApiError, not_plain, not_valid
from serving.api.forms import FORM, read_form
from serving.api.ndjson import NDJSON, in_lines, of_lines

PLAIN = "identity"  # no compression, by its name in HTTP
FILES = "tidegate.files"  # of a form, in the scope of its request
Body = TypeVar("Body")


@dataclass(frozen=True)
class JsonRoute(Generic[Body]):
    """One route and what OpenAPI says of it.

    Attributes:
        path: of the route. tag: its audience. summary: one line.
        body: model of what is asked; None where the handler reads no JSON.
        answer: model of what is answered.
        handle: body, request -> the answer's content.
        status: of a good answer.
        errors: further statuses and what they mean.
        method: of HTTP.
        takes: media type of a body that the handler reads by itself.
        lines: the body's one list, whose entries may also come as lines of NDJSON; empty if none.
        status_of: answer -> status, where it tells how far the act has come; None for `status`.
        form: model of the JSON fields of a form with files, which may come instead of `body`; its
            files are in the request's scope under FILES. None takes no form.
    """

    path: str
    tag: str
    summary: str
    body: type[Body] | None
    answer: type[BaseModel]
    handle: Callable[[Body, Request], Awaitable[dict[str, Any]]]
    status: int = 200
    errors: tuple[tuple[int, str], ...] = ()
    method: str = "POST"
    takes: str | None = None
    lines: str = ""
    status_of: Callable[[dict[str, Any]], int] | None = None
    form: type[BaseModel] | None = None

    def route(self) -> Route:
        """Return the route."""

        async def endpoint(request: Request) -> Response:
            request.scope["route"] = route  # for log and metrics, as FastAPI does for its own
            body, numbers = await self._body(request)
            try:
                answer = await self.handle(body, request)
            except ApiError as error:
                raise error if numbers is None else in_lines(error, self.lines, numbers) from error
            status = self.status if self.status_of is None else self.status_of(answer)
            return Response(orjson.dumps(answer), status, media_type="application/json")

        route = Route(self.path, endpoint, methods=[self.method])
        return route

    async def _body(self, request: Request) -> tuple[Body, list[int] | None]:
        """The body, and the numbers of its lines where it came as lines."""
        if self.body is None:
            return cast("Body", None), None
        encoding = request.headers.get("content-encoding", PLAIN)
        if encoding.lower() != PLAIN:
            raise not_plain(encoding)
        mime = request.headers.get("content-type", "")
        model = cast("type[BaseModel]", self.body)
        if self.form is not None and mime.startswith(FORM):
            form = await read_form(request)
            request.scope[FILES] = form.files
            raw, model = form.body, self.form
        else:
            raw = await request.body()
        if self.lines and mime.startswith(NDJSON):
            return cast("tuple[Body, list[int]]", of_lines(raw, model, self.lines))
        try:
            return cast("Body", model.model_validate_json(raw)), None
        except ValidationError as error:
            raise not_valid(error, raw) from None
