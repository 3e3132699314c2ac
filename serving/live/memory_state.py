"""Online state inside the process: for tests, and for one process without a state server."""

from collections import defaultdict, deque
from collections.abc import Sequence

from serving.feed.contracts import Behaviour
from serving.live.state import RECENT_EVENTS, SEEN_ITEMS, UserEvent, UserState, is_impression


class MemoryState:
    """See `OnlineState`; forgets everything with its process."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[Behaviour]] = defaultdict(lambda: deque(maxlen=RECENT_EVENTS))
        self._seen: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=SEEN_ITEMS))

    async def read(self, user_id: str) -> UserState:
        """See `OnlineState.read`."""
        return UserState(tuple(self._recent.get(user_id, ())), tuple(self._seen.get(user_id, ())))

    async def append(self, events: Sequence[UserEvent]) -> None:
        """See `OnlineState.append`."""
        for user_id, behaviour in events:
            if is_impression(behaviour):
                self._seen[user_id].appendleft(behaviour.item_id)
            else:
                self._recent[user_id].appendleft(behaviour)

    async def reachable(self) -> bool:
        """See `OnlineState.reachable`."""
        return True

    async def close(self) -> None:
        """See `OnlineState.close`."""
