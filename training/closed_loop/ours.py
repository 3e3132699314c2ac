"""Our feed: the server's engine, selectors and ladder in one process."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from embeddings.content import content_of
from embeddings.feed_model import FeedModel
from embeddings.live_model import LiveModel
from models.arrays import Rows
from models.features import ACTIONS
from models.ranking_features import ItemCounters
from serving.feed.audience import LadderExploration
from serving.feed.contracts import Behaviour, FeedRequest
from serving.feed.engine import FeedEngine
from serving.feed.filters import DEFAULT_FILTERS, FACT_FILTERS
from serving.feed.rules import FeedRules
from serving.feed.shelf import make_shelf
from serving.feed.signals import SignalBoard
from serving.feed.terms import Standing
from training.closed_loop.day import Visitors
from training.closed_loop.ladder import DayLadder
from training.closed_loop.people import ACTED, KEPT, People
from training.closed_loop.stage import Stage
from training.datasets.simulator import Responses, shown_after_ms

SPARE_ITEMS = 10  # as the server asks for, to stand in for what cannot be served
SLOTS = 9  # source of the draws of exploration slots


@dataclass
class OurFeed:
    """See `Policy`; every page is one request to the engine and one commit.

    Attributes:
        rules: of the surface. ladder: of the day's new items.
    """

    stage: Stage
    people: People
    bundle: FeedModel
    rules: FeedRules
    ladder: DayLadder

    def __post_init__(self) -> None:
        """Put the engine together as the server does."""
        self._ids = self.stage.world.items["item_id"].to_pylist()
        self._rows = {item_id: row for row, item_id in enumerate(self._ids)}
        self._users = self.stage.world.users.to_pylist()
        model = LiveModel(self.bundle)
        shelf = make_shelf(catalogue(self.bundle.items), self.bundle.popularity)
        self._logged = self.people.counters()
        self._signals = SignalBoard(shelf.facts, first_items(self._logged, self.stage.first_new))
        self._exploration = LadderExploration(np.random.default_rng([self.stage.seed, SLOTS]))
        self.engine = FeedEngine(
            model,
            shelf,
            self.bundle.manifest.dimensions["history_length"],
            DEFAULT_FILTERS + FACT_FILTERS,
            ranker=model.ranker,
            exploration=self._exploration,
            signals=self._signals,
        )
        self._model, self._published = model, self.stage.first_new
        self._recent = [self._behaviour(u) for u in range(len(self._users))]
        self._seen = [self._shown(u) for u in range(len(self._users))]
        self._requests: dict[int, tuple[str, list[int]]] = {}

    def begin(self, now_ms: int) -> None:
        """See `Policy.begin`."""
        published_ms = self.stage.world.item_traits.published_ms
        until = int(np.searchsorted(published_ms, now_ms, side="right"))
        if until > self._published:
            items = self.stage.world.items.slice(self._published, until - self._published)
            records = catalogue(items).to_pylist()
            rows = self._model.put(self._model.embed(content_of(records)))
            for row, record in zip(rows.tolist(), records, strict=True):
                self.engine.shelf.facts.put(row, record)
            self._published = until
        counted, logged = self.people.counters(), self._logged
        self._signals.show(
            counted.impressions[:until] - logged.impressions[:until],
            counted.reactions[:until] - logged.reactions[:until],
        )

    def pages(self, visitors: Visitors) -> Rows:
        """See `Policy.pages`."""
        self.ladder.look(self._exploration, self._model, visitors.now_ms)
        pages = np.full((len(visitors.users), self.stage.plan.page), -1)
        self._requests = {}
        for b in np.flatnonzero(visitors.asking).tolist():
            kept = self._page(int(visitors.users[b]), visitors.now_ms)
            pages[b, : len(kept)] = kept
        return pages

    def learn(self, visitors: Visitors, pages: Rows, told: Responses) -> None:
        """See `Policy.learn`."""
        now_ms = np.full(len(visitors.users), visitors.now_ms)
        self.people.learn(visitors.users, pages, told, now_ms)
        times = now_ms[:, None] + shown_after_ms(told).astype(np.int64)
        for b in np.flatnonzero(told.examined.any(axis=1)).tolist():
            self._take_in(b, int(visitors.users[b]), pages, told, times)

    def _page(self, user: int, now_ms: int) -> list[int]:
        plan = self.stage.plan
        request = FeedRequest(
            k=plan.page + SPARE_ITEMS,
            now_ms=now_ms,
            recent=tuple(self._recent[user]),
            seen=tuple(self._seen[user]),
            standing=self._standing(user),
        )
        request_id = f"{user}-{now_ms}"
        kept, reserved = list[int](), list[int]()
        for item in self.engine.feed(request, self.rules).items:
            row = self._rows[item.item_id]
            if item.reserve:
                if not self.ladder.reserve(row, request_id, now_ms):
                    continue
                reserved.append(row)
            kept.append(row)
            if len(kept) == plan.page:
                break
        self._requests[user] = request_id, reserved
        return kept

    def _take_in(self, b: int, user: int, pages: Rows, told: Responses, times: Rows) -> None:
        request_id, reserved = self._requests[user]
        for k in np.flatnonzero(told.examined[b]).tolist():
            row, item_id = int(pages[b, k]), self._ids[pages[b, k]]
            self._seen[user].append(item_id)
            if row in reserved:
                self.ladder.confirm(row, request_id, int(times[b, k]))
            for name in ACTED:
                if told.reactions[name][b, k]:
                    watch_ms = float(told.watch_ms[b, k])
                    self._recent[user].appendleft(
                        Behaviour(item_id, name, int(times[b, k]), watch_ms)
                    )

    def _behaviour(self, user: int) -> deque[Behaviour]:
        """What the log says that a user did, newest first."""
        people = self.people
        count = int((people.rows[user] >= 0).sum())
        told = zip(
            people.rows[user, :count].tolist(),
            people.actions[user, :count].tolist(),
            people.time_ms[user, :count].tolist(),
            people.watch_ms(user)[:count],
            strict=True,
        )
        return deque(
            (
                Behaviour(self._ids[row], ACTIONS[action], time_ms, watch_ms)
                for row, action, time_ms, watch_ms in told
            ),
            maxlen=KEPT,
        )

    def _shown(self, user: int) -> list[str]:
        return [self._ids[row] for row in np.flatnonzero(self.people.seen[user]).tolist()]

    def _standing(self, user: int) -> Standing:
        known = self._users[user]
        return Standing(
            region=known["region"],
            language=known["language"],
            adult=bool(self.stage.world.user_traits.adult[user]),
            age_known=known["birth_year"] is not None,
            time_zone=known["time_zone"],
        )


def first_items(counters: ItemCounters, count: int) -> ItemCounters:
    """Counters of the first items alone."""
    return ItemCounters(
        counters.impressions[:count], counters.reactions[:count], counters.published_at_ms[:count]
    )


def catalogue(items: pa.Table) -> pa.Table:
    """The world's items in the names of the Item contract."""
    names = {"published_at": "published_at_ms", "expires_at": "expires_at_ms"}
    return items.rename_columns([names.get(name, name) for name in items.column_names])
