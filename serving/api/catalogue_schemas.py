"""What catalogue owners ask and are answered."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema

from serving.api.schemas import Asked, Reason
from serving.records.items import MAX_ROWS

# The records check rows themselves, because they name every fault of every row at once.
ItemRow = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/Item"})]
EXAMPLE: dict[str, Any] = {
    "item_id": "tea-1",
    "kind": "product",
    "creator_id": "creator-9",
    "title": "紫砂茶壶",
    "category": "home/teapots",
    "tags": ["tea"],
    "language": "zh",
    "regions": ["CN"],
    "price": 128.0,
    "currency": "CNY",
    "published_at_ms": 1_760_000_000_000,
    "in_stock": True,
}


class ItemsBody(Asked):
    """Items of the catalogue: all of them are stored, or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE]}]})
    items: Annotated[list[ItemRow], Field(min_length=1, max_length=MAX_ROWS)]


class ItemPatch(RootModel[dict[str, Any]]):
    """The fields of an item that change; the others stay."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"price": 99.0, "in_stock": False}]})


class Suspension(Asked):
    """Why a creator is suspended or restored; kept in the audit trail."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "counterfeit goods"}]})
    reason: Reason


class UpsertedAnswer(BaseModel):
    """What became of one item."""

    item_id: str
    outcome: Literal["created", "changed", "unchanged"]
    content_version: int


class ItemsAnswer(BaseModel):
    """What became of each item, in the order sent."""

    request_id: str
    items: list[UpsertedAnswer]


class PatchAnswer(UpsertedAnswer):
    """What became of the item."""

    request_id: str


class StatusAnswer(BaseModel):
    """What the viewers of a region and audience get; ``*`` stands for all."""

    region: str
    audience: str
    status: Literal["pending", "visible", "limited", "hidden"]
    decided: bool = Field(description="by a person, not by an automatic check")
    content_version: int


class StoredAnswer(BaseModel):
    """An item as it is known; `content_version` is 0 for one that came with a bundle."""

    request_id: str
    item: dict[str, Any]
    content_version: int
    statuses: list[StatusAnswer]


class DeletedAnswer(BaseModel):
    """The item is deleted; with `applied: done` no answer that begins now holds it."""

    request_id: str
    item_id: str
    applied: Literal["done", "pending"]


class MediaAnswer(BaseModel):
    """A stored file; `created` is false if the same bytes were there before."""

    request_id: str
    sha256: str
    mime: str
    bytes: int
    created: bool


class CreatorAnswer(BaseModel):
    """A creator's standing."""

    request_id: str
    creator_id: str
    suspended: bool
    applied: Literal["done", "pending"]
