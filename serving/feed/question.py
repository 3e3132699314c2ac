"""One request on its way through the stages."""

from dataclasses import dataclass, replace

from models.arrays import Vectors
from serving.feed.contracts import FeedRequest
from serving.feed.hydrate import Viewer
from serving.feed.rules import FeedRules, Pin


@dataclass(frozen=True)
class Question:
    """Who is asking, by which rules, and what the model makes of it.

    Attributes:
        interests: [M, D]; None where there is nothing to personalise by.
        liked: [M, D], of someone who only liked what this user liked last; None for no such item.
        degraded: why the answer is less than it could be; codes.
    """

    request: FeedRequest
    rules: FeedRules
    viewer: Viewer
    interests: Vectors | None = None
    liked: Vectors | None = None
    degraded: tuple[str, ...] = ()

    @property
    def before(self) -> int:
        """Places of the pages before this one."""
        return len(self.request.paged)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Pins whose position is on this page."""
        last = self.before + self.request.k
        return tuple(pin for pin in self.rules.pins if self.before < pin.position <= last)

    def worse(self, *codes: str) -> "Question":
        """The same with more reasons why the answer is less than it could be, each once."""
        return replace(self, degraded=tuple(dict.fromkeys((*self.degraded, *codes))))
