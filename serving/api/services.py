"""What the routes need; put together in ``serving.app``."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from serving.api.metrics import Metrics
from serving.feed.contracts import FeedRequest, FeedRules
from serving.feed.engine import FeedEngine
from serving.live.hidden_rows import HiddenRows
from serving.live.mirror import VisibilityMirror
from serving.live.online_state import OnlineState
from serving.live.takedown import VisibilityLink
from serving.records.contracts import Stores

DEFAULT_SURFACE = "default"


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class ServedBundle:
    """A bundle's engine with a question whose answer is known.

    Attributes:
        engine: answers from one bundle.
        question: asked by the readiness probe.
        answer: ids of the items that the engine gave to it when it was loaded.
    """

    engine: FeedEngine
    question: FeedRequest
    answer: tuple[str, ...]


@dataclass
class Services:
    """What the routes need.

    Attributes:
        bundle: what serves; replaced as a whole, so a request reads it once.
        state: what users did and saw, and what may be shown.
        link: through which visibility comes here, and takedowns go out; closed with the app.
        stores: the records; closed with the app.
        surfaces: rules by surface; DEFAULT_SURFACE for every other.
        future_limit_ms: how far ahead of the clock an event may lie.
        past_limit_ms: how far behind it.
        metrics: of this process.
        clock_ms: the present moment.
        mirror: this process's copy of visibility, kept by its lease while the app runs.
    """

    bundle: ServedBundle
    state: OnlineState
    link: VisibilityLink
    stores: Stores
    surfaces: Mapping[str, FeedRules]
    future_limit_ms: int
    past_limit_ms: int
    metrics: Metrics = field(default_factory=Metrics)
    clock_ms: Callable[[], int] = wall_clock_ms
    mirror: VisibilityMirror = field(default_factory=VisibilityMirror)

    def __post_init__(self) -> None:
        self.hidden = HiddenRows(self.mirror)

    def rules(self, surface: str | None) -> FeedRules:
        """Return the rules of a surface."""
        return self.surfaces.get(surface or DEFAULT_SURFACE) or self.surfaces[DEFAULT_SURFACE]
