"""The stream of events: durable, deduplicated, and in one step with the online state.

Keys: ``events`` (stream of whole batches and served pages), ``ids`` and ``ids:<n>`` (known event
ids in generations), ``barred`` (keyed hashes of users who left), ``recent:<user>`` and
``count:<bucket>``. One primary, no cluster mode: the
script touches keys of many users at once.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from models.features import LONG_VIEW_MS
from serving.live.counters import counter_field
from serving.live.scripts import Script
from serving.live.state import RECENT_EVENTS, StateUnreachableError
from serving.live.wire import Argument

STREAM, IDS, BARRED = "events", "ids", "barred"
BATCH_EVENTS = 1_000


@dataclass(frozen=True)
class StreamLimits:
    """How long things are kept; milliseconds unless named otherwise.

    Attributes:
        generation_ids: event ids of one generation; five closed generations are kept.
        generation_ms: age at which a generation closes.
        ids_ms: how long a closed generation is kept: a repeated id is known for this long, or
            until 5 x `generation_ids` newer ones have come.
        stream_entries: batches that may wait for the archiver; more are refused.
        shown_ms: how long an impression is remembered.
        served_ms: how long an item counts as shown because it was served.
        held_ms: how long a served exposure stays reserved without its impression.
        region_ms: how long it is known where a user asked for their newest page.
        bucket_ms: width of a counter bucket. buckets: how many are kept.
    """

    generation_ids: int = 1_000_000
    generation_ms: int = 6 * 3_600_000
    ids_ms: int = 24 * 3_600_000
    stream_entries: int = 200_000
    shown_ms: int = 30 * 86_400_000
    served_ms: int = 30 * 60_000
    held_ms: int = 30 * 60_000
    region_ms: int = 24 * 3_600_000
    bucket_ms: int = 300_000
    buckets: int = 300


class LoggedEvent(NamedTuple):
    """One event, ready for the stream.

    Attributes:
        event_id: unique for its producer; the same id with the same body is taken once.
        user_id: whose event it is.
        body: canonical JSON of the whole event, without line breaks; what the archive keeps.
        recent: entry of the user's recent behaviour; empty for impressions.
        counter: field of the time-bucketed counters to raise; empty for none.
        subject: keyed hash of the user id, by which those who left are known.
    """

    event_id: str
    user_id: str
    body: bytes
    recent: bytes = b""
    counter: str = ""
    subject: str = ""


def logged_event(event: Mapping[str, Any], region: str, subject: str = "") -> LoggedEvent:
    """Prepare one checked event of the Event contract; its `time` is in ms since 1970.

    Counted per type, region and item, a play watched for long as a long view; all but impressions
    enter the recent behaviour.
    """
    impression = event["type"] == "impression"
    behaviour = (event["item_id"], event["type"], event["time"], event.get("watch_ms"))
    return LoggedEvent(
        event["event_id"],
        event["user_id"],
        orjson.dumps(event, option=orjson.OPT_SORT_KEYS),
        b"" if impression else orjson.dumps(behaviour),
        counter_field(counted_as(event), region, event["item_id"]),
        subject,
    )


def counted_as(event: Mapping[str, Any]) -> str:
    """The type that an event is counted under; the item's duration is not known here."""
    watched_long = (event.get("watch_ms") or 0) >= LONG_VIEW_MS
    return "long_view" if event["type"] == "play" and watched_long else str(event["type"])


@dataclass(frozen=True)
class Appended:
    """A batch that is durable.

    Attributes:
        entry: id in the stream; empty when every event was known.
        fresh: how many events were new.
        duplicates: positions of those that were known with the same body.
    """

    entry: str
    fresh: int
    duplicates: tuple[int, ...]


class ConflictingEventsError(Exception):
    """Event ids that are known with another body; nothing of the batch was stored."""

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = tuple(positions)
        super().__init__(f"events {list(self.positions)}: their ids are known with another body")


class BarredEventsError(Exception):
    """Events of users who were erased; nothing of the batch was stored."""

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = tuple(positions)
        super().__init__(f"events {list(self.positions)}: of users who were erased")


class EventStream:
    """Appends batches; safe to repeat when an answer was lost."""

    def __init__(self, client: Any, limits: StreamLimits) -> None:
        self._append = Script(client, "append_events")
        self._limits = limits

    async def append(self, events: Sequence[LoggedEvent], now_ms: int) -> Appended:
        """Store a batch, all or nothing; it is on disk when this returns.

        Raises:
            ValueError: no events, or more than ``BATCH_EVENTS``.
            ConflictingEventsError: a known id came with another body.
            BarredEventsError: a user was erased.
            StateUnreachableError: the stream cannot be written now, or waits for the archiver.
        """
        if not 1 <= len(events) <= BATCH_EVENTS:
            raise ValueError(f"{len(events)} events; a batch holds 1 to {BATCH_EVENTS}")
        arguments = batch_arguments(events, now_ms, self._limits)
        answer = await self._append([STREAM, IDS, BARRED], arguments)
        return appended(answer)


def batch_arguments(
    events: Sequence[LoggedEvent], now_ms: int, limits: StreamLimits
) -> list[Argument]:
    """Arguments of ``append_events.lua``."""
    arguments: list[Argument] = [
        now_ms,
        limits.generation_ids,
        limits.generation_ms,
        limits.ids_ms,
        limits.stream_entries,
        RECENT_EVENTS,
        limits.bucket_ms,
        limits.buckets,
    ]
    for event_id, user_id, body, recent, counter, subject in events:
        # An event's id may name its user, so only a hash of it is kept when the event is gone.
        known_as = hashlib.blake2b(event_id.encode(), digest_size=16).digest()
        digest = hashlib.blake2b(body, digest_size=12).digest()
        arguments += (known_as, digest, body, user_id, recent, counter, subject)
    return arguments


def appended(answer: Sequence[Any]) -> Appended:
    """Read the answer of ``append_events.lua``.

    Raises:
        ConflictingEventsError: a known id came with another body.
        BarredEventsError: a user was erased.
        StateUnreachableError: the stream is full until the archiver has caught up.
    """
    if answer[0] == b"conflict":
        raise ConflictingEventsError(answer[1:])
    if answer[0] == b"barred":
        raise BarredEventsError(answer[1:])
    if answer[0] == b"full":
        raise StateUnreachableError("the stream is full: the archiver does not keep up")
    return Appended(answer[1].decode(), answer[2], tuple(answer[3:]))
