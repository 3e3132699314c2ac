"""Pictures of a request: from however they were sent to pixels."""

import asyncio
import base64
import binascii
import re
from collections.abc import Sequence

from serving.api.errors import ApiError, Detail, shown
from serving.api.forms import FILE
from serving.api.moderation_schemas import ImageUrlPart, PicturePart, TextPart, TranscriptPart
from serving.api.services import Services
from serving.media import path_of
from serving.moderation.decoding import Picture
from serving.moderation.desk import ModerationDesk
from serving.moderation.findings import Chunk, Content
from serving.moderation.picture_formats import MediaError

PICTURES_LIMIT = 16
_DATA = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)


async def content_of(
    services: Services,
    desk: ModerationDesk,
    parts: Sequence[TextPart | TranscriptPart | PicturePart | ImageUrlPart],
    field: str,
    files: Sequence[bytes] = (),
) -> Content:
    """Texts, transcripts and decoded pictures of some parts, each in their order.

    Args:
        services: where uploaded files are, and what may be fetched.
        desk: decodes.
        parts: as sent. field: what they are called in errors.
        files: of a form, judged behind the pictures of the parts.

    Raises:
        ApiError: 422; a picture is not there, must not be fetched, or cannot be judged.
    """
    count = sum(isinstance(part, PicturePart | ImageUrlPart) for part in parts) + len(files)
    if count > PICTURES_LIMIT:
        message = f"{count} pictures; send at most {PICTURES_LIMIT} at once"
        detail = Detail(field=field, value=count, message=message, limit=PICTURES_LIMIT)
        raise ApiError(422, "too_many_pictures", message, [detail])
    texts, transcripts, pictures = [], [], []
    for n, part in enumerate(parts):
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif isinstance(part, TranscriptPart):
            transcripts.append(
                tuple(Chunk(one.start_s, one.end_s, one.text) for one in part.chunks)
            )
        else:
            pictures.append(await _picture(services, desk, part, f"{field}.{n}"))
    for n, content in enumerate(files):
        pictures.append(await _of_file(desk, content, f"{FILE}.{n}"))
    return Content(tuple(texts), tuple(pictures), transcripts=tuple(transcripts))


async def picture_of_upload(
    services: Services, desk: ModerationDesk, sha256: str, field: str
) -> Picture:
    """An uploaded picture.

    Raises:
        ApiError: 422; it is not there, or cannot be judged.
    """
    try:
        return await desk.picture(await _bytes(services, "sha256", sha256))
    except MediaError as error:
        detail = Detail(field=field, value=sha256, message=str(error))
        raise ApiError(422, error.code, f"{field}: {error}", [detail]) from error


async def _of_file(desk: ModerationDesk, content: bytes, field: str) -> Picture:
    try:
        return await desk.picture(content)
    except MediaError as error:
        detail = Detail(field=field, value=f"{len(content)} bytes", message=str(error))
        raise ApiError(422, error.code, f"{field}: {error}", [detail]) from error


async def _picture(
    services: Services, desk: ModerationDesk, part: PicturePart | ImageUrlPart, field: str
) -> Picture:
    way, given = _way(part)
    try:
        return await desk.picture(await _bytes(services, way, given))
    except MediaError as error:
        message = str(error)
        detail = Detail(field=f"{field}.{way}", value=shown(given), message=message)
        raise ApiError(422, error.code, f"{field}: {message}", [detail]) from error


def _way(part: PicturePart | ImageUrlPart) -> tuple[str, str]:
    if isinstance(part, ImageUrlPart):
        url = part.image_url.url
        data = _DATA.match(url)
        return ("base64", url[data.end() :]) if data else ("url", url)
    given = {"base64": part.base64, "sha256": part.sha256, "url": part.url}
    return next((way, value) for way, value in given.items() if value is not None)


async def _bytes(services: Services, way: str, given: str) -> bytes:
    if way == "url":
        return await asyncio.to_thread(services.fetcher.fetch, given)
    if way == "base64":
        try:
            return base64.b64decode(given, validate=True)
        except binascii.Error as error:
            raise MediaError("bad_base64", f"is not base64: {error}") from error
    try:
        return await asyncio.to_thread(path_of(services.media, given).read_bytes)
    except FileNotFoundError as error:
        message = "no such file was uploaded; send it to /v1/media first"
        raise MediaError("unknown_media", message) from error
