"""Bodies of files: ``multipart/form-data`` with JSON fields in ``body`` and files in ``file``."""

from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from serving.api.errors import ApiError, Detail, invalid

FORM = "multipart/form-data"
BODY, FILE = "body", "file"
PARTS_LIMIT = 64
FIELD_LIMIT = 32 << 20  # bytes; the body as a whole has a lower limit


@dataclass(frozen=True)
class Form:
    """JSON fields, UTF-8, and the files in their order."""

    body: bytes
    files: tuple[bytes, ...]


async def read_form(request: Request) -> Form:
    """Read a form; what it holds lives in memory and in unnamed files until the answer.

    Raises:
        ApiError: 400 where it is no form; 422 where it has other fields, a field twice or too many.
    """
    try:
        form = await request.form(
            max_files=PARTS_LIMIT, max_fields=PARTS_LIMIT, max_part_size=FIELD_LIMIT
        )
    except HTTPException as error:
        message = f"the body is not {FORM}: {error.detail}"
        detail = Detail(field="body", message=str(error.detail), limit=PARTS_LIMIT)
        raise ApiError(400, "invalid_form", message, [detail]) from error
    try:
        _refuse_unknown(form)
        files = [await one.read() for one in form.getlist(FILE) if isinstance(one, UploadFile)]
        [body] = [one for one in form.getlist(BODY) if isinstance(one, str)] or ["{}"]
    finally:
        await form.close()
    return Form(body.encode(), tuple(files))


def _refuse_unknown(form: FormData) -> None:
    details = []
    for name, value in form.multi_items():
        kind = "file" if isinstance(value, UploadFile) else "field"
        if (name, kind) not in {(BODY, "field"), (FILE, "file")}:
            message = f"no such {kind}; send JSON as the field {BODY!r}, files as {FILE!r}"
            details.append(Detail(field=name[:80], message=message, limit=[BODY, FILE]))
    if len(form.getlist(BODY)) > 1:
        details.append(Detail(field=BODY, value=len(form.getlist(BODY)), message="once", limit=1))
    if details:
        raise invalid(details)
