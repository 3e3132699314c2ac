"""Online state inside the process: the exact reference beside the state server, and its double."""

from collections import defaultdict, deque
from collections.abc import Sequence

import orjson

from serving.feed.budgets import Budgets
from serving.feed.contracts import Behaviour
from serving.live.event_stream import (
    Appended,
    BarredEventsError,
    ConflictingEventsError,
    LoggedEvent,
    StreamLimits,
)
from serving.live.mirror import VisibilityMirror
from serving.live.pages import (
    BarredUserError,
    CommittedPage,
    Impression,
    PageDraft,
    VisibilityUnknownError,
)
from serving.live.state import RECENT_EVENTS, UserState
from serving.records.status import servable


class MemoryState:
    """See `OnlineState`; forgets everything with its process.

    Attributes:
        visibility: what pages are checked against.
        budgets: of exposure; an item without one is not shown at its expense.
        served: the drafts that were committed, with what was kept of them.
        barred: keyed hashes of users who left.
    """

    def __init__(self) -> None:
        self.visibility = VisibilityMirror()
        self.visibility.replace(0, {})
        self.served: list[tuple[PageDraft, CommittedPage]] = []
        self.barred: set[str] = set()
        self._limits = StreamLimits()
        self.budgets = Budgets(self._limits.held_ms)
        self._known: dict[str, bytes] = {}
        self._recent: dict[str, deque[Behaviour]] = defaultdict(lambda: deque(maxlen=RECENT_EVENTS))
        self._regions: dict[str, str] = {}
        self._shown: dict[str, dict[str, int]] = defaultdict(dict)

    async def read(self, user_id: str, now_ms: int) -> UserState:
        """See `OnlineState.read`."""
        shown = self._shown.get(user_id, {})
        kept = sorted((until_ms, item) for item, until_ms in shown.items() if until_ms > now_ms)
        seen = tuple(item for _, item in kept)
        return UserState(tuple(self._recent.get(user_id, ())), seen)

    async def append(
        self, events: Sequence[LoggedEvent], impressions: Sequence[Impression], now_ms: int
    ) -> Appended:
        """See `OnlineState.append`."""
        if left := [n for n, event in enumerate(events) if event.subject in self.barred]:
            raise BarredEventsError(left)
        known = [self._known.get(event.event_id) for event in events]
        pairs = list(enumerate(zip(events, known, strict=True)))
        if conflicts := [n for n, (event, body) in pairs if body not in (None, event.body)]:
            raise ConflictingEventsError(conflicts)
        for event, body in zip(events, known, strict=True):
            self._known[event.event_id] = event.body
            if body is None and event.recent:
                self._recent[event.user_id].appendleft(Behaviour(*orjson.loads(event.recent)))
        for seen in impressions:
            if not seen.reaction:
                self._show(seen.user_id, seen.item_id, now_ms + self._limits.shown_ms)
                self.budgets.confirm(seen.item_id, seen.request_id)
        duplicates = tuple(n for n, body in enumerate(known) if body is not None)
        fresh = len(events) - len(duplicates)
        return Appended(f"{len(self._known)}-0" if fresh else "", fresh, duplicates)

    async def commit(self, draft: PageDraft, now_ms: int) -> CommittedPage:
        """See `OnlineState.commit`."""
        if self.visibility.sequence is None:
            raise VisibilityUnknownError("nothing is known of visibility")
        if draft.subject in self.barred:
            raise BarredUserError
        kept: list[int] = []
        hidden: list[int] = []
        spent: list[int] = []
        for n, one in enumerate(draft.candidates):
            if len(kept) == draft.k:
                break
            status = self.visibility.status(
                one.item_id, one.creator_id, draft.region, draft.audience
            )
            if not servable(status):
                hidden.append(n)
            elif one.reserve and not (
                status == "visible" and self.budgets.reserve(one.item_id, draft.request_id, now_ms)
            ):
                spent.append(n)
            else:
                kept.append(n)
        if draft.user_id:
            self._remember(draft, kept, now_ms)
        page = CommittedPage(self.visibility.sequence, tuple(kept), tuple(hidden), tuple(spent))
        self.served.append((draft, page))
        return page

    async def regions(self, user_ids: Sequence[str]) -> list[str]:
        """See `OnlineState.regions`."""
        return [self._regions.get(user_id, "") for user_id in user_ids]

    async def reachable(self) -> bool:
        """See `OnlineState.reachable`."""
        return True

    async def close(self) -> None:
        """See `OnlineState.close`."""

    def _remember(self, draft: PageDraft, kept: Sequence[int], now_ms: int) -> None:
        for n in kept:
            item_id = draft.candidates[n].item_id
            self._show(draft.user_id, item_id, now_ms + self._limits.served_ms)
        if kept and draft.region:
            self._regions[draft.user_id] = draft.region

    def _show(self, user_id: str, item_id: str, until_ms: int) -> None:
        shown = self._shown[user_id]
        shown[item_id] = max(until_ms, shown.get(item_id, 0))
