"""Routes of banks: known violations, and originals whose re-upload is to be found."""

from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from configs.labels import Action
from serving.api.errors import Detail, invalid
from serving.api.json_route import JsonRoute
from serving.api.moderation import desk_of
from serving.api.moderation_schemas import Text
from serving.api.pictures import picture_of_upload
from serving.api.recorded import NONE_SUCH, STORED, UNREACHABLE, actor_of, recorded
from serving.api.request_log import ID
from serving.api.schemas import Asked
from serving.api.services import Services
from serving.moderation.banks import signature
from serving.records.items import Identifier
from serving.records.moderation import BankEntry

ENTRIES_LISTED = 1_000


class NewEntry(Asked):
    """Content to be known again: an uploaded picture (`sha256`) or a text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "加微信领取内部优惠，先到先得", "label": "commerce/diversion"}]
        }
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    text: Text | None = None
    label: Identifier = Field(description="what a copy violates, as `rights/reupload`")
    action: Action = "review"
    note: Annotated[str, StringConstraints(max_length=1_000)] = ""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.sha256 is None) == (self.text is None):
            raise ValueError("give one of sha256 and text")
        return self


class EntryAnswer(BaseModel):
    """An entry of a bank."""

    entry_id: str
    bank: str
    kind: Literal["picture", "text"]
    fingerprint: dict[str, str]
    label: str
    action: Action
    note: str
    sequence: int
    created_at_ms: int
    removed_at_ms: int | None


class AddedEntry(EntryAnswer):
    """The entry is kept; every replica matches against it within seconds."""

    request_id: str


class EntriesAnswer(BaseModel):
    """Entries in force, newest first."""

    request_id: str
    entries: list[EntryAnswer]


class RemovedEntry(BaseModel):
    """The entry is out."""

    request_id: str
    entry_id: str


def bank_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/admin/banks``."""
    banks = services.stores.moderation.banks

    async def add(body: NewEntry, request: Request) -> dict[str, Any]:
        bank = checked_bank(request.path_params["bank"])
        await check(services, body)
        entry = BankEntry(
            entry_id="",
            bank=bank,
            kind="text" if body.sha256 is None else "picture",
            fingerprint={"sha256": body.sha256} if body.sha256 else {"text": body.text or ""},
            label=body.label,
            action=body.action,
            note=body.note,
            sequence=0,
            created_at_ms=0,
            removed_at_ms=None,
        )
        kept = await recorded(banks.add, actor_of(request), entry)
        return asdict(kept) | {"request_id": request.scope[ID]}

    async def remove(_: None, request: Request) -> dict[str, Any]:
        bank, entry_id = request.path_params["bank"], request.path_params["entry_id"]
        await recorded(banks.remove, actor_of(request), bank, entry_id)
        return {"request_id": request.scope[ID], "entry_id": entry_id}

    async def listed(_: None, request: Request) -> dict[str, Any]:
        found = await recorded(banks.listed, request.path_params.get("bank"), ENTRIES_LISTED)
        return {"request_id": request.scope[ID], "entries": [asdict(one) for one in found]}

    every, one, tag = "/v1/admin/banks", "/v1/admin/banks/{bank}/entries", "admin"
    lists = [
        JsonRoute[None](
            path, tag, summary, None, EntriesAnswer, listed, errors=(UNREACHABLE,), method="GET"
        )
        for path, summary in ((every, "List all banks"), (one, "List a bank"))
    ]
    return [
        *lists,
        JsonRoute(one, tag, "Add to a bank", NewEntry, AddedEntry, add, 201, errors=STORED),
        JsonRoute(
            f"{one}/{{entry_id}}",
            tag,
            "Take out of a bank",
            None,
            RemovedEntry,
            remove,
            errors=(NONE_SUCH, *STORED),
            method="DELETE",
        ),
    ]


def checked_bank(name: str) -> str:
    """The name of a bank.

    Raises:
        ApiError: 422; it is none.
    """
    if len(name) > 64 or not name.replace("-", "").isalnum() or name != name.lower():
        message = "is no name of a bank: lower-case letters, digits and hyphens, at most 64"
        raise invalid([Detail(field="bank", value=name[:80], message=message)])
    return name


async def check(services: Services, body: NewEntry) -> None:
    """Refuse an entry that could never match.

    Raises:
        ApiError: 422; the label is unknown, the text too short, or the picture cannot be decoded.
    """
    desk = desk_of(services)
    if body.label not in desk.moderator.labels.labels:
        raise invalid([Detail(field="label", value=body.label, message="no such label")])
    if body.sha256 is not None:
        await picture_of_upload(services, desk, body.sha256, "sha256")
    elif signature(body.text or "") is None:
        message = "too short to be known again; 12 characters that count are needed"
        raise invalid([Detail(field="text", value=body.text, message=message)])
