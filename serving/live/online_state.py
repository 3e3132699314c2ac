"""What a request asks of the online state, whatever keeps it."""

from collections.abc import Sequence
from typing import Protocol

from serving.live.event_stream import Appended, LoggedEvent
from serving.live.pages import CommittedPage, Impression, PageDraft
from serving.live.state import UserState


class OnlineState(Protocol):
    """Behaviour, seen memory and visibility of all users and items."""

    async def read(self, user_id: str, now_ms: int) -> UserState:
        """Return one user's state.

        Raises:
            StateUnreachableError: the state cannot be read now.
        """

    async def append(
        self, events: Sequence[LoggedEvent], impressions: Sequence[Impression], now_ms: int
    ) -> Appended:
        """Keep a batch, later events as newer, all or none; repeating it changes nothing more.

        Args:
            events: 1 to ``BATCH_EVENTS``, with different ids.
            impressions: those of the same batch, and the reactions that the ladder counts.
            now_ms: ms since 1970.

        Raises:
            ConflictingEventsError: a known id came with another body; nothing was kept.
            BarredEventsError: a user was erased; nothing was kept.
            StateFullError: the disk is full; nothing was kept.
            StateUnreachableError: the batch must be sent again.
        """

    async def commit(self, draft: PageDraft, now_ms: int) -> CommittedPage:
        """Check, reserve and log a page at one moment; what is kept may be answered.

        Raises:
            VisibilityUnknownError: the state was emptied and is not filled again.
            BarredUserError: the user was erased; nothing was kept.
            StateUnreachableError: no answer; the caller falls back to its mirror.
        """

    async def regions(self, user_ids: Sequence[str]) -> list[str]:
        """Return where each user asked for their newest page; empty where that is not known.

        Raises:
            StateUnreachableError: the state cannot be read now.
        """

    async def reachable(self) -> bool:
        """Whether the state answers."""

    async def close(self) -> None:
        """Give connections back; nothing may be asked afterwards."""
