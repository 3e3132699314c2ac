"""Online state: what the next request must know about a user."""

from dataclasses import dataclass

from serving.feed.contracts import Behaviour

RECENT_EVENTS = 200  # kept per user, newest first by arrival


class StateUnreachableError(Exception):
    """The state server did not answer in time, or refused."""


@dataclass(frozen=True)
class UserState:
    """What is known of one user; empty for a user that nothing is known of.

    Attributes:
        recent: at most RECENT_EVENTS, impressions apart, newest first by arrival.
        seen: items that were seen, or served a moment ago; the first to be forgotten come first,
            so that the newest impressions stand last.
    """

    recent: tuple[Behaviour, ...] = ()
    seen: tuple[str, ...] = ()


class StateFullError(StateUnreachableError):
    """The disk of the state server is full, or nearly; nothing of this was written."""


def is_impression(behaviour: Behaviour) -> bool:
    """Impressions are far more than what people do, and would push it out of the ring."""
    return behaviour.type == "impression"
