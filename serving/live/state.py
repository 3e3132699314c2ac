"""Online state: what the next request must know about a user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from serving.feed.contracts import Behaviour

RECENT_EVENTS = 200  # kept per user, newest first by arrival
SEEN_ITEMS = 500  # impressions kept per user, newest first by arrival


class StateUnreachableError(Exception):
    """The state server did not answer in time, or refused."""


class UserEvent(NamedTuple):
    """One behaviour and whose it is."""

    user_id: str
    behaviour: Behaviour


@dataclass(frozen=True)
class UserState:
    """What is known of one user; empty for a user that nothing is known of.

    Attributes:
        recent: at most RECENT_EVENTS, impressions apart.
        seen: ids of at most SEEN_ITEMS impressions.
    """

    recent: tuple[Behaviour, ...] = ()
    seen: tuple[str, ...] = ()


class OnlineState(Protocol):
    """Recent behaviour of all users."""

    async def read(self, user_id: str) -> UserState:
        """Return one user's state.

        Raises:
            StateUnreachableError: the state cannot be read now.
        """

    async def append(self, events: Sequence[UserEvent]) -> None:
        """Keep the events, later ones as newer; all of them or none.

        Raises:
            StateUnreachableError: the state cannot be written now.
        """

    async def reachable(self) -> bool:
        """Whether the state answers."""

    async def close(self) -> None:
        """Give connections back; nothing may be asked afterwards."""


def is_impression(behaviour: Behaviour) -> bool:
    """Impressions are far more than what people do, and would push it out of the ring."""
    return behaviour.type == "impression"
