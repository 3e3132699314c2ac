"""The Item contract: what a catalogue row holds, checked once where it enters."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)

from configs.regions import known_regions
from serving.faults import limit_of, message_of
from serving.records.errors import BadRows, Fault

MAX_ROWS = 1000
STORED = {"stored": True}  # context of rows that were checked when they entered
MAX_AHEAD_MS = 366 * 86_400_000  # planned releases; later is taken for a unit mistake
# What a check judges: words, pictures, prices, and under whose law they stand.
CONTENT_FIELDS = ("title", "text", "tags", "media", "price", "list_price", "currency", "regions")

Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Word = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]+$")]
Prose = Annotated[str, StringConstraints(max_length=20_000, pattern=r"^[^\x00]*$")]
Money = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


def known_region(code: str) -> str:
    """Return a region's code in capitals.

    Raises:
        ValueError: there is no such region.
    """
    # A typo would hide an item from everyone, or take it down nowhere, and nobody would be told.
    if code.upper() not in known_regions():
        raise ValueError("no such region; give a code of ISO 3166 such as CN or GB")
    return code.upper()


def _entering_region(code: str, info: ValidationInfo) -> str:
    return code if info.context == STORED else known_region(code)


Region = Annotated[str, AfterValidator(_entering_region)]


class Media(BaseModel):
    """One file of an item, by the checksum of its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    mime: Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]+$", max_length=100)]
    role: Literal["cover", "frame", "video", "picture"] = "cover"


class Item(BaseModel):
    """One item as its owner describes it; version and status are kept by the records."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    item_id: Identifier
    kind: Literal["video", "live", "product"]
    creator_id: Identifier
    title: Annotated[Prose, Field(max_length=500)] = ""
    text: Prose = ""
    category: Annotated[Prose, Field(max_length=300)] = ""
    tags: Annotated[tuple[Word, ...], Field(max_length=50, strict=False)] = ()
    language: (
        Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None
    ) = None
    regions: Annotated[tuple[Region, ...], Field(max_length=50, strict=False)] = ()
    shop_id: Identifier | None = None
    shop_grade: Literal["S", "A", "B", "C"] | None = None
    price: Money | None = None
    list_price: Money | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    product_ids: Annotated[tuple[Identifier, ...], Field(max_length=100, strict=False)] = ()
    duration_ms: Annotated[int, Field(ge=0, le=7 * 86_400_000)] | None = None
    media: Annotated[tuple[Media, ...], Field(max_length=50, strict=False)] = ()
    audience: Literal["all", "adult"] = "all"
    published_at_ms: Annotated[int, Field(ge=0)]
    expires_at_ms: Annotated[int, Field(ge=0)] | None = None
    in_stock: bool | None = None

    def content(self) -> dict[str, Any]:
        """The part whose change makes a new content version."""
        return self.model_dump(mode="json", include=set(CONTENT_FIELDS))


def parse_items(rows: Sequence[Mapping[str, Any]], now_ms: int) -> list[Item]:
    """Check catalogue rows and return them as items.

    Raises:
        BadRows: anything is wrong with any row; every fault is listed.
    """
    if not 1 <= len(rows) <= MAX_ROWS:
        limit = f"a batch holds 1 to {MAX_ROWS} rows"
        raise BadRows([Fault(0, "", f"{len(rows)} rows", limit, MAX_ROWS)])
    items: list[Item] = []
    faults: list[Fault] = []
    for n, row in enumerate(rows):
        try:
            items.append(Item.model_validate(row))
        except ValidationError as error:
            faults += validation_faults(n, error)
        else:
            faults += _joint_faults(n, items[-1], now_ms)
    faults += _duplicates(rows)
    if faults:
        raise BadRows(sorted(faults, key=lambda fault: (fault.row, fault.field)))
    return items


def validation_faults(row: int, error: ValidationError) -> list[Fault]:
    """One fault a wrong field of one row."""
    return [
        Fault(
            row,
            ".".join(map(str, found["loc"])),
            found["input"],
            message_of(found),
            limit_of(found),
        )
        for found in error.errors(include_url=False)
    ]


def _joint_faults(row: int, item: Item, now_ms: int) -> list[Fault]:
    checks = (
        (
            "published_at_ms",
            item.published_at_ms > now_ms + MAX_AHEAD_MS,
            "more than 366 days ahead (times are milliseconds since 1970)",
        ),
        (
            "expires_at_ms",
            (item.expires_at_ms or math.inf) <= item.published_at_ms,
            "must be later than published_at_ms",
        ),
        (
            "currency",
            item.currency is None and (item.price is not None or item.list_price is not None),
            "a price needs its currency",
        ),
        (
            "list_price",
            item.list_price is not None and item.list_price < (item.price or 0.0),
            "must not be below the price",
        ),
    )
    return [
        Fault(row, field, getattr(item, field), message)
        for field, broken, message in checks
        if broken
    ]


def _duplicates(rows: Sequence[Mapping[str, Any]]) -> list[Fault]:
    first: dict[str, int] = {}
    faults = []
    for n, row in enumerate(rows):
        item_id = row.get("item_id") if isinstance(row, Mapping) else None
        if isinstance(item_id, str) and first.setdefault(item_id, n) != n:
            message = f"also in row {first[item_id]}; an item may stand once in a batch"
            faults.append(Fault(n, "item_id", item_id, message))
    return faults
