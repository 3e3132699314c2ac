"""Committing a page: the one step between a ranked list and an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from serving.live.event_stream import BARRED, STREAM, StreamLimits
from serving.live.scripts import Script
from serving.live.wire import Argument

VISIBILITY, SEQUENCE = "visibility", "visibility:sequence"
SHOWN_ITEMS = 2_000


class Candidate(NamedTuple):
    """One item of the final list.

    Attributes:
        body: JSON of what the served log keeps of it (source, propensity …), without line breaks.
        reserve: it is shown at the expense of its exposure budget.
    """

    item_id: str
    creator_id: str
    body: bytes
    reserve: bool = False


class Impression(NamedTuple):
    """An item that a user saw, or how they reacted to it.

    Attributes:
        request_id: of the answer that showed it; empty if not known.
        subject: keyed hash of the user id, by which those who left are known.
        reaction: one of ``serving.feed.exposure.REACTIONS``; empty for having seen it.
    """

    user_id: str
    item_id: str
    request_id: str
    subject: str = ""
    reaction: str = ""


@dataclass(frozen=True)
class PageDraft:
    """A page about to be served.

    Attributes:
        user_id: empty for anonymous users, who have no seen memory.
        k: results wanted.
        candidates: best first; those past k stand in for what is no longer visible.
        header: JSON of what the served log keeps of the request.
        subject: keyed hash of the user id; empty for anonymous users.
    """

    request_id: str
    user_id: str
    region: str
    audience: str
    k: int
    header: bytes
    candidates: Sequence[Candidate]
    subject: str = ""


@dataclass(frozen=True)
class CommittedPage:
    """What may be answered.

    Attributes:
        sequence: of the newest visibility change that was looked at.
        kept: positions of the candidates that are served, in order.
        hidden: positions of those that were taken down meanwhile.
        spent: positions of those without exposure budget, or limited meanwhile.
    """

    sequence: int
    kept: tuple[int, ...]
    hidden: tuple[int, ...]
    spent: tuple[int, ...]


class VisibilityUnknownError(Exception):
    """The state holds no copy of visibility yet; nothing may be served by it."""


class BarredUserError(Exception):
    """The user was erased: nothing of them may be kept, so nothing was committed."""


class Pages:
    """Commits pages and keeps the seen memory and the exposure of items.

    Keys: ``visibility…``, ``shown:<user>``, ``region:<user>``, ``held:<item>``,
    ``exposure:<item>``, ``evidence:<item>:<what>`` and the stream of served pages. Nothing here is
    acknowledged to anyone, so its server need not sync each write: it may be another one than that
    of `EventStream`, whose disk would delay every answer.
    """

    def __init__(self, client: Any, limits: StreamLimits) -> None:
        self._commit = Script(client, "commit_page")
        self._note = Script(client, "note_impressions")
        self._limits = limits

    async def commit(self, draft: PageDraft, now_ms: int) -> CommittedPage:
        """Check visibility, reserve exposure and log what is served, all at one moment.

        Raises:
            VisibilityUnknownError: the state was emptied and is not filled again.
            BarredUserError: the user was erased; commit it for an anonymous one.
            StateUnreachableError: no answer; the caller falls back to its mirror.
        """
        keys = [STREAM, VISIBILITY, SEQUENCE, BARRED]
        answer = await self._commit(keys, page_arguments(draft, now_ms, self._limits))
        if answer[0] == b"unknown":
            raise VisibilityUnknownError("the state holds no copy of visibility")
        if answer[0] == b"barred":
            raise BarredUserError
        return CommittedPage(answer[1], *(tuple(positions) for positions in answer[2:]))

    async def note(self, impressions: Sequence[Impression], now_ms: int) -> None:
        """Remember what was seen, confirm its exposure and count who reacted to it.

        Doing it twice changes nothing more. Called with all of a batch that is durable, known
        events too: the call before may have been cut off between the two.

        Raises:
            StateUnreachableError: not done; the batch must be sent again.
        """
        arguments: list[Argument] = [now_ms, self._limits.shown_ms, SHOWN_ITEMS]
        for impression in impressions:
            arguments += impression
        if impressions:
            await self._note([BARRED], arguments)


def page_arguments(draft: PageDraft, now_ms: int, limits: StreamLimits) -> list[Argument]:
    """Arguments of ``commit_page.lua``."""
    arguments: list[Argument] = [
        now_ms,
        draft.request_id,
        draft.user_id,
        draft.region,
        draft.audience,
        draft.k,
        limits.served_ms,
        SHOWN_ITEMS,
        limits.held_ms,
        draft.header,
        draft.subject,
        limits.region_ms,
    ]
    for item_id, creator_id, body, reserve in draft.candidates:
        arguments += (item_id, creator_id, "1" if reserve else "0", body)
    return arguments
