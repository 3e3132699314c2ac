"""Routes of catalogue owners: items, media, creators."""

import errno
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi import Request

from serving.api.catalogue_schemas import (
    CreatorAnswer,
    DeletedAnswer,
    ItemPatch,
    ItemsAnswer,
    ItemsBody,
    MediaAnswer,
    PatchAnswer,
    StoredAnswer,
    Suspension,
)
from serving.api.errors import ApiError, Detail, invalid, shown
from serving.api.json_route import JsonRoute
from serving.api.recorded import (
    BARRED,
    NONE_SUCH,
    STORED,
    actor_of,
    recorded,
    recorded_rows,
)
from serving.api.request_log import FACTS, ID
from serving.api.services import Services
from serving.api.takedowns import announce, applied_status, carried
from serving.media import keep_file, of_type
from serving.moderation.picture_formats import MediaError
from serving.records.contracts import Stored
from serving.records.status import StatusRow, item_subject

MEDIA_TYPE = re.compile(r"(image|video)/[a-z0-9.+-]{1,90}")
MEDIA_PATH = "/v1/media"
Changed = TypeVar("Changed")


def catalogue_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return the routes of ``/v1/items``, ``/v1/media`` and ``/v1/creators``."""
    return [*_item_routes(services), *_creator_routes(services), _media_route(services)]


def _item_routes(services: Services) -> list[JsonRoute[Any]]:
    catalogue = services.stores.catalogue

    async def put(body: ItemsBody, request: Request) -> dict[str, Any]:
        done = await recorded_rows(
            "items", catalogue.upsert, actor_of(request), body.items, services.publish
        )
        await announce(services)
        request.scope[FACTS].update(items=len(done))
        return {"request_id": request.scope[ID], "items": [asdict(one) for one in done]}

    async def patch(body: ItemPatch, request: Request) -> dict[str, Any]:
        done = await _changed(services, request, catalogue.patch, body.root, services.publish)
        await announce(services)
        return {"request_id": request.scope[ID]} | asdict(done)

    async def delete(_: None, request: Request) -> dict[str, Any]:
        item_id = request.path_params["item_id"]
        await _changed(services, request, catalogue.remove)
        sequence = await recorded(services.stores.visibility.newest_sequence)
        applied = await carried(services, sequence)
        return {"request_id": request.scope[ID], "item_id": item_id, "applied": applied}

    async def get(_: None, request: Request) -> dict[str, Any]:
        item_id = request.path_params["item_id"]
        answer = await _known_item(services, item_id)
        return {"request_id": request.scope[ID]} | answer

    one, tag = "/v1/items/{item_id:path}", "catalogue"
    why = (NONE_SUCH, *STORED)
    return [
        JsonRoute(
            "/v1/items",
            tag,
            "Store items, all or none",
            ItemsBody,
            ItemsAnswer,
            put,
            errors=STORED,
            method="PUT",
        ),
        JsonRoute(
            one, tag, "Change an item", ItemPatch, PatchAnswer, patch, errors=why, method="PATCH"
        ),
        JsonRoute(
            one,
            tag,
            "Delete an item",
            None,
            DeletedAnswer,
            delete,
            errors=why,
            method="DELETE",
            status_of=applied_status,
        ),
        JsonRoute(one, tag, "Read an item", None, StoredAnswer, get, errors=why[:2], method="GET"),
    ]


async def _changed(
    services: Services, request: Request, change: Callable[..., Changed], *how: Any
) -> Changed:
    """Change the item of the path; tell the way out if only the bundle has it."""
    item_id = request.path_params["item_id"]
    try:
        return await recorded(change, actor_of(request), item_id, *how)
    except ApiError as error:
        if error.status != 404 or services.bundle.item(item_id) is None:
            raise
        way = "store it with PUT /v1/items to change it, hide it with POST /v1/admin/takedowns"
        raise ApiError(404, "not_found", f"item {item_id}: came with the bundle; {way}") from error


def _creator_routes(services: Services) -> list[JsonRoute[Any]]:
    visibility = services.stores.visibility

    def turned(suspended: bool) -> Any:
        async def turn(body: Suspension, request: Request) -> dict[str, Any]:
            creator_id = request.path_params["creator_id"]
            row = await recorded(
                visibility.set_suspended, actor_of(request), creator_id, suspended, body.reason
            )
            return {
                "request_id": request.scope[ID],
                "creator_id": creator_id,
                "suspended": suspended,
                "applied": await carried(services, row.sequence),
            }

        return turn

    return [
        JsonRoute(
            f"/v1/creators/{{creator_id:path}}/{verb}",
            "catalogue",
            summary,
            Suspension,
            CreatorAnswer,
            turned(suspended),
            errors=STORED,
            status_of=applied_status,
        )
        for verb, summary, suspended in (
            ("suspend", "Hide all items of a creator", True),
            ("restore", "Show them again", False),
        )
    ]


def _media_route(services: Services) -> JsonRoute[Any]:
    async def upload(_: None, request: Request) -> dict[str, Any]:
        mime = request.headers.get("content-type", "")
        if not MEDIA_TYPE.fullmatch(mime):
            message = "must name the file's type: image/… or video/…"
            raise invalid([Detail(field="content-type", value=shown(mime), message=message)])
        try:
            file = await keep_file(services.media, of_type(request.stream(), mime))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ApiError(507, "storage_full", "the disk is full; nothing was stored") from error
        except MediaError as error:
            told = Detail(field="body", value=mime, message=str(error))
            raise ApiError(422, error.code, f"the file {error}", [told]) from error
        except ValueError as error:
            raise invalid([Detail(field="body", value=0, message=str(error))]) from error
        created = await recorded(
            services.stores.catalogue.add_media, actor_of(request), file.sha256, mime, file.size
        )
        answer = {"sha256": file.sha256, "mime": mime, "bytes": file.size, "created": created}
        return {"request_id": request.scope[ID]} | answer

    return JsonRoute(
        MEDIA_PATH,
        "catalogue",
        "Upload a picture or video",
        None,
        MediaAnswer,
        upload,
        201,
        (BARRED, *STORED),
        takes="application/octet-stream",
    )


async def _known_item(services: Services, item_id: str) -> dict[str, Any]:
    """An item of the records, or else of the bundle."""
    try:
        stored = await recorded(services.stores.catalogue.get, item_id)
    except ApiError as error:
        item = services.bundle.item(item_id) if error.status == 404 else None
        if item is None:
            raise
        subject = item_subject(item_id)
        found = await recorded(services.stores.visibility.rows_of_subjects, [subject])
        rows = found.get(subject, [])
        return {"item": item, "content_version": 0, "statuses": [_status(row) for row in rows]}
    return _stored(stored)


def _stored(stored: Stored) -> dict[str, Any]:
    return {
        "item": stored.item.model_dump(mode="json"),
        "content_version": stored.content_version,
        "statuses": [_status(row) for row in stored.statuses],
    }


def _status(row: StatusRow) -> dict[str, Any]:
    return {
        "region": row.scope.region,
        "audience": row.scope.audience,
        "status": row.status,
        "decided": row.decided,
        "content_version": row.content_version,
    }
