"""What the routes need; put together in ``serving.app``."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from serving.api.admission import Admission
from serving.api.metrics import Metrics
from serving.archive.store import ArchiveStore
from serving.bundles.activation import Activator
from serving.clock import now_ms
from serving.control_book import ControlBook
from serving.feed.audience import LadderExploration
from serving.feed.contracts import FeedRequest
from serving.feed.controls import controlled
from serving.feed.cursor import Cursors
from serving.feed.engine import FeedEngine
from serving.feed.rules import FeedRules
from serving.feed.timetable import Rulebook
from serving.live.exposure import ExposureLadder
from serving.live.hidden_rows import MaskedRows
from serving.live.mirror import VisibilityMirror
from serving.live.online_state import OnlineState
from serving.live.takedown import VisibilityLink
from serving.live_items import LiveItems
from serving.moderation.desk import ModerationDesk
from serving.moderation.fetching import Fetcher, FetchLimits
from serving.moderation.posting import Poster
from serving.profiles import Profiles
from serving.records.access import Gate
from serving.records.contracts import Stores
from serving.records.status import Publish

SUBJECTS_REMEMBERED = 20_000  # a keyed hash costs as much as the rest of an event


@dataclass(frozen=True)
class ServedBundle:
    """A bundle's engine with a question whose answer is known.

    Attributes:
        items: of the bundle and the live catalogue. engine: answers from them.
        reference: answers from the bundle alone, always alike.
        question: asked by the readiness probe.
        rules: by which it is answered, whatever holds later.
        answer: ids of the items that the reference gave to it when it was loaded.
        exploration: the engine's view of the exploration ladder.
    """

    items: LiveItems
    engine: FeedEngine
    reference: FeedEngine
    question: FeedRequest
    rules: FeedRules
    answer: tuple[str, ...]
    exploration: LadderExploration

    def item(self, item_id: str) -> dict[str, Any] | None:
        """Return what the bundle holds of an item, None if it has no such item."""
        model = self.items.model.bundle
        row = model.vocabulary.row(item_id)
        return None if row is None else model.items.slice(row, 1).to_pylist()[0]

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.engine.model.version


@dataclass
class Services:
    """What the routes need.

    Attributes:
        bundle: what serves; replaced as a whole, so a request reads it once.
        state: what users did and saw, and what may be shown.
        stores: the records; closed with the app.
        rulebook: rules of every surface; replaced as a whole when their files change.
        cursors: of pages of the feed.
        future_limit_ms: how far ahead of the clock an event may lie.
        past_limit_ms: how far behind it.
        archive: all events and served pages.
        media: folder of uploaded files. media_limit_bytes: of one file.
        publish: whether new content waits for a check.
        profiles: what is recorded of users, remembered for a moment.
        metrics: of this process.
        clock_ms: the present moment.
        admission: the queue of feed requests.
        gate: checks API keys; None where none is required.
        moderation: judges content; None where no moderation bundle is published.
        moderation_limit_bytes: of one request with pictures.
        poster: to webhooks of jobs.
        fetcher: of pictures that a request names by their address.
        activators: by kind of bundle.
        background: run from the app's start to its end.
        mirror: this process's copy of visibility, kept by its lease while the app runs.
        ladder: the exploration ladder; None without a state server.
        link: the way of visibility to all replicas; None without a state server.
        hidden: rows of the bundle by what the mirror hides.
        subject_of: user id -> keyed hash, by which those who left are known.
    """

    bundle: ServedBundle
    state: OnlineState
    stores: Stores
    rulebook: Rulebook
    cursors: Cursors
    future_limit_ms: int
    past_limit_ms: int
    media: Path
    archive: ArchiveStore
    media_limit_bytes: int
    publish: Publish
    profiles: Profiles
    metrics: Metrics = field(default_factory=Metrics)
    clock_ms: Callable[[], int] = now_ms
    admission: Admission = field(kw_only=True)
    gate: Gate | None = None
    moderation: ModerationDesk | None = None
    moderation_limit_bytes: int = 2 << 20
    poster: Poster = field(default_factory=lambda: Poster(frozenset()))
    fetcher: Fetcher = field(default_factory=lambda: Fetcher(FetchLimits()))
    activators: dict[str, Activator] = field(default_factory=dict)
    background: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)
    mirror: VisibilityMirror = field(default_factory=VisibilityMirror)
    link: VisibilityLink | None = None
    ladder: ExposureLadder | None = None

    def __post_init__(self) -> None:
        """Derive what follows from the rest."""
        self.controls = ControlBook(self.stores.controls)
        self.hidden = MaskedRows(self.mirror, self.mirror.hidden)
        self.limited = MaskedRows(self.mirror, self.mirror.limited)
        self.subject_of = lru_cache(SUBJECTS_REMEMBERED)(self.stores.users.subject)

    def rules(self, surface: str | None, region: str | None = None) -> FeedRules:
        """Return the rules that hold now on a surface in a region."""
        now_ms = self.clock_ms()
        rules = self.rulebook.rules(surface, region, now_ms)
        return controlled(rules, self.controls.holding, surface, region, now_ms)
