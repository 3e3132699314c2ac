"""What is asked and answered over HTTP; unknown fields are refused."""

from datetime import datetime, time
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    model_validator,
)

from serving.live.state import RECENT_EVENTS
from serving.records.items import Identifier, Region

PAGE_LIMIT = 100
CANDIDATES_LIMIT = 1_000
EXCLUDE_LIMIT = 1_000
CURSOR_LIMIT = 200_000  # a cursor of 1,000 of the longest ids
BATCH_LIMIT = 1_000

Reason = Annotated[str, StringConstraints(min_length=1, max_length=1_000, strip_whitespace=True)]
# Strict would refuse the number of milliseconds since 1970, which many logs hold.
Moment = Annotated[AwareDatetime, Strict(False)]
WatchMs = Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)]
EventType = Literal[
    "impression",
    "play",
    "complete",
    "skip",
    "like",
    "unlike",
    "comment",
    "share",
    "follow",
    "unfollow",
    "click_product",
    "add_cart",
    "purchase",
    "refund",
    "not_interested",
    "report",
]


class Asked(BaseModel):
    """Base of everything a caller sends."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Context(Asked):
    """Where and when the feed is shown; all of it optional.

    A surface without rules of its own is served by the default rules.
    """

    region: Region | None = None
    local_time: datetime | time | None = None
    surface: Identifier | None = None
    session_id: Identifier | None = None


class HistoryEvent(Asked):
    """One thing an anonymous user did; without a time it counts as just done."""

    item_id: Identifier
    type: EventType = "play"
    time: Moment | None = None
    watch_ms: WatchMs | None = None


class Who(Asked):
    """Who asks: a user whose behaviour was reported, a history in the request, or both."""

    user_id: Identifier | None = None
    history: Annotated[list[HistoryEvent], Field(max_length=RECENT_EVENTS)] | None = Field(
        None, description="newest first; an empty list is a new anonymous user"
    )
    context: Context = Context()
    explain: bool = False

    @model_validator(mode="after")
    def _is_someone(self) -> "Who":
        if self.user_id is None and self.history is None:
            raise ValueError("user_id or history is needed")
        return self


class FeedBody(Who):
    """A page of the feed; with a cursor, the page after the one that gave it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "user-1", "k": 20, "context": {"region": "CN", "surface": "home"}},
                {"history": [{"item_id": "item-7", "type": "like"}], "k": 10, "explain": True},
            ]
        }
    )
    k: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 20
    exclude: Annotated[list[Identifier], Field(max_length=EXCLUDE_LIMIT)] = []
    cursor: Annotated[str, Field(max_length=CURSOR_LIMIT)] | None = None


class RelatedBody(Who):
    """What to show beside one item; of a user, what they have seen is left out."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"item_id": "item-7", "k": 10, "user_id": "user-1"}]}
    )
    item_id: Identifier
    k: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 20
    exclude: Annotated[list[Identifier], Field(max_length=EXCLUDE_LIMIT)] = []
    history: Annotated[list[HistoryEvent], Field(max_length=RECENT_EVENTS)] | None = Field(
        [], description="only what was seen matters"
    )


class RankBody(Who):
    """The caller's own candidates, ranked for one user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"user_id": "user-1", "candidates": ["item-1", "item-2"], "k": 2}]
        }
    )
    candidates: Annotated[list[Identifier], Field(min_length=1, max_length=CANDIDATES_LIMIT)]
    k: Annotated[int, Field(ge=1, le=CANDIDATES_LIMIT)] = 20


class EventBody(Asked):
    """One thing that a user did."""

    event_id: Identifier
    user_id: Identifier
    item_id: Identifier
    type: EventType
    time: Moment = Field(description="RFC 3339 with a zone, or milliseconds since 1970")
    product_id: Identifier | None = None
    creator_id: Identifier | None = None
    request_id: Identifier | None = None
    position: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    watch_ms: WatchMs | None = None
    value: Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)] | None = None
    session_id: Identifier | None = None
    device_id: Identifier | None = None


class EventsBody(Asked):
    """A batch of events: all of them are kept, or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {
                            "event_id": "e-1",
                            "user_id": "user-1",
                            "item_id": "item-7",
                            "type": "play",
                            "time": "2026-11-22T09:30:00Z",
                            "watch_ms": 21000,
                        }
                    ]
                }
            ]
        }
    )
    events: Annotated[list[EventBody], Field(min_length=1, max_length=BATCH_LIMIT)]


class WordsAnswer(BaseModel):
    """What a reason says."""

    en: str
    zh: str


class ReasonAnswer(BaseModel):
    """Why an item stands where it stands: a stable code with one value, and its words."""

    code: str
    value: str | int | float
    words: WordsAnswer


class ItemAnswer(BaseModel):
    """One result; `score` is null where the model gave none, `reasons` come with `explain`."""

    item_id: str
    score: float | None
    source: Literal[
        "pinned",
        "exploration",
        "followed",
        "interest",
        "similar",
        "trending",
        "popular",
        "request",
    ]
    position: int
    creator_id: str | None
    reasons: list[ReasonAnswer] | None = None


class RemovedAnswer(BaseModel):
    """A candidate that was not ranked, and the code of why, as ``unknown`` or ``seen``."""

    item_id: str
    reason: str


class PageAnswer(BaseModel):
    """A page, best first; `degraded` says why it is less than it could be."""

    request_id: str
    items: list[ItemAnswer]
    bundle: str
    took_ms: float
    degraded: list[str]


class FeedAnswer(PageAnswer):
    """A page; `cursor` leads to the next one, null where nothing is left."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": "4f1c…",
                    "items": [
                        {
                            "item_id": "item-3",
                            "score": 1.27,
                            "source": "interest",
                            "position": 1,
                            "creator_id": "creator-9",
                        }
                    ],
                    "bundle": "20261122-0a1b2c3d4e5f",
                    "took_ms": 1.9,
                    "degraded": [],
                    "cursor": "Zm9yIHRoZSBuZXh0IHBhZ2U=",
                }
            ]
        }
    )
    cursor: str | None


class RankAnswer(PageAnswer):
    """The candidates, best first, and those that were not ranked."""

    removed: list[RemovedAnswer]


class EventsAnswer(BaseModel):
    """All events are on disk: those accepted now, and duplicates of what was known before."""

    request_id: str
    accepted: int
    duplicates: int
