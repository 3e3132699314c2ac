"""What the routes need; put together in ``serving.app``."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from serving.api.metrics import Metrics
from serving.feed.contracts import FeedRequest, FeedRules
from serving.feed.engine import FeedEngine
from serving.live.state import OnlineState
from serving.moderation.desk import ModerationDesk
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
        state: recent behaviour.
        stores: the records; closed with the app.
        surfaces: rules by surface; DEFAULT_SURFACE for every other.
        future_limit_ms: how far ahead of the clock an event may lie.
        moderation: judges texts; None where no moderation bundle is published.
        metrics: of this process.
        clock_ms: the present moment.
    """

    bundle: ServedBundle
    state: OnlineState
    stores: Stores
    surfaces: Mapping[str, FeedRules]
    future_limit_ms: int
    moderation: ModerationDesk | None = None
    metrics: Metrics = field(default_factory=Metrics)
    clock_ms: Callable[[], int] = wall_clock_ms

    def rules(self, surface: str | None) -> FeedRules:
        """Return the rules of a surface."""
        return self.surfaces.get(surface or DEFAULT_SURFACE) or self.surfaces[DEFAULT_SURFACE]
