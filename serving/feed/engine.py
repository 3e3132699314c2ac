"""The feed: hydrate -> sources -> filters -> scorers -> selectors, over one bundle."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.arrays import Mask, Rows, Vectors
from models.features import batch_histories
from models.ranking_features import RankingContext
from serving.feed.candidates import SOURCES, Candidates, drawn, merged, ranked, unscored
from serving.feed.contracts import (
    DeadlineError,
    Exploration,
    FeedRequest,
    FeedRules,
    InterestModel,
    Page,
    PageItem,
    Ranker,
    Reason,
    Removed,
)
from serving.feed.explain import explained
from serving.feed.filters import DEFAULT_FILTERS, Filter, filtered
from serving.feed.hydrate import Viewer, hydrate
from serving.feed.scorers import interest_scores, popularity_scores
from serving.feed.selectors import placed, spread_creators
from serving.feed.shelf import Shelf
from serving.feed.signals import SignalBoard
from serving.feed.sources import interest_source, popular_source
from serving.feed.value import contributions, values_of

NOTHING = unscored(np.empty(0, np.int64), "exploration")


@dataclass
class Stopwatch:
    """Milliseconds of each stage, in the order in which they ended.

    Attributes:
        deadline_s: when the caller stops waiting, on the clock of ``time.perf_counter``.
    """

    deadline_s: float
    stage_ms: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """The stage ends now; it began where the one before ended.

        Raises:
            DeadlineError: the deadline has passed; nobody waits for the stages to come.
        """
        now = time.perf_counter()
        self.stage_ms[stage] = (now - self._last) * 1000
        self._last = now
        if now > self.deadline_s:
            raise DeadlineError(stage)


@dataclass(frozen=True)
class Audience:
    """Who is asking, by which rules, and what the model makes of it.

    Attributes:
        interests: [M, D]; None where there is nothing to personalise by.
        degraded: why the answer is less than it could be; codes.
    """

    request: FeedRequest
    rules: FeedRules
    viewer: Viewer
    interests: Vectors | None
    degraded: tuple[str, ...]


@dataclass(frozen=True)
class FeedEngine:
    """Answers requests from one bundle; holds no state of its own.

    Attributes:
        model: towers, vectors and index. shelf: facts of the same items.
        history_length: T of the user tower.
        filters: asked in their order; the first that refuses names the reason.
        ranker: of the same bundle; None for a bundle without one, whose score is the interest.
        exploration: of the same items; None for no ladder.
        signals: what is counted of the items; None counts nothing.
    """

    model: InterestModel
    shelf: Shelf
    history_length: int
    filters: tuple[Filter, ...] = DEFAULT_FILTERS
    ranker: Ranker | None = None
    exploration: Exploration | None = None
    signals: SignalBoard | None = None

    def feed(self, request: FeedRequest, rules: FeedRules) -> Page:
        """Return the best `request.k` items for one user.

        Raises:
            DeadlineError: the deadline passed between two stages.
        """
        watch = Stopwatch(request.deadline_s)
        audience = self._audience(request, rules, watch)
        found = self._sourced(audience)
        watch.lap("sources")
        kept, _ = filtered(found, self.filters, audience.viewer)
        if len(kept) < request.k and len(found) < len(self.model.vocabulary):
            kept = self._searched_wider(audience)
        watch.lap("filters")
        explored = self._explored(audience)
        watch.lap("exploration")
        return self._page(kept, explored, audience, watch)

    def rank(self, request: FeedRequest, candidate_ids: Sequence[str], rules: FeedRules) -> Page:
        """Return the best `request.k` of the caller's items, and what was removed and why.

        Raises:
            DeadlineError: the deadline passed between two stages.
        """
        watch = Stopwatch(request.deadline_s)
        audience = self._audience(request, rules, watch)
        rows, removed = self._rows_of(candidate_ids)
        kept, reasons = filtered(unscored(rows, "request"), self.filters, audience.viewer)
        removed += [Removed(self._item_id(row), reason) for row, reason in reasons.items()]
        watch.lap("filters")
        return replace(self._page(kept, NOTHING, audience, watch), removed=tuple(removed))

    def _audience(self, request: FeedRequest, rules: FeedRules, watch: Stopwatch) -> Audience:
        viewer = hydrate(request, self.model.vocabulary, self.shelf)
        watch.lap("hydrate")
        if not len(viewer.history):
            nothing = "unknown_items" if request.recent else "unknown_user"
            return Audience(request, rules, viewer, None, request.degraded or (nothing,))
        batch = batch_histories([viewer.history], self.history_length)
        interests = self.model.interests(batch)[0]
        watch.lap("interests")
        if not np.isfinite(interests).all():
            degraded = (*request.degraded, "interests_not_finite")
            return Audience(request, rules, viewer, None, degraded)
        return Audience(request, rules, viewer, interests, request.degraded)

    def _sourced(self, audience: Audience) -> Candidates:
        # Enough for a full page even if all that the filters will remove is among them.
        viewer, rules = audience.viewer, audience.rules
        needed = audience.request.k + len(viewer.seen) + len(viewer.excluded)
        popular = popular_source(self.shelf, max(rules.popular_candidates, needed))
        if audience.interests is None:
            return popular
        count = max(rules.interest_candidates, needed)
        return merged([interest_source(self.model, audience.interests, count), popular])

    def _searched_wider(self, audience: Audience) -> Candidates:
        """Candidates among everything that may be shown, where the nearest mostly may not."""
        everything = unscored(np.arange(len(self.model.vocabulary)), "popular")
        allowed = np.zeros(len(everything), bool)
        allowed[filtered(everything, self.filters, audience.viewer)[0].rows] = True
        popular = popular_source(self.shelf, len(self.shelf.popular_rows))
        popular = popular.take(allowed[popular.rows])
        if audience.interests is None:
            return popular
        count = max(audience.rules.interest_candidates, audience.request.k)
        return merged([interest_source(self.model, audience.interests, count, allowed), popular])

    def _explored(self, audience: Audience) -> Candidates:
        request = audience.request
        places = audience.rules.exploration.places(request.k)
        if self.exploration is None or not places or not request.explore:
            return NOTHING

        def keeps(rows: Rows) -> Mask:
            kept, _ = filtered(unscored(rows, "exploration"), self.filters, audience.viewer)
            return np.isin(rows, kept.rows)

        return drawn(*self.exploration.draw(request, audience.interests, keeps, len(places)))

    def _rows_of(self, candidate_ids: Sequence[str]) -> tuple[Rows, list[Removed]]:
        rows = self.model.vocabulary.rows(candidate_ids)
        removed = []
        first: dict[str, int] = {}
        for n, (item_id, row) in enumerate(zip(candidate_ids, rows.tolist(), strict=True)):
            if row < 0:
                removed.append(Removed(item_id, "unknown"))
            elif first.setdefault(item_id, n) != n:
                removed.append(Removed(item_id, "repeated"))
        return rows[list(first.values())], removed

    def _page(
        self, kept: Candidates, explored: Candidates, audience: Audience, watch: Stopwatch
    ) -> Page:
        request, rules = audience.request, audience.rules
        candidates = merged([explored, kept])
        ranking = ranked(candidates, self._scores(candidates.rows, audience))
        watch.lap("scorers")
        page = spread_creators(
            ranking, self.shelf, request.k, rules.creator_window, rules.creator_limit
        )
        page = placed(page, ranking, explored.rows, rules.exploration.places(request.k))
        items = self._items(page, ranking, audience.viewer, request.explain)
        watch.lap("selectors")
        return Page(
            items=items,
            bundle=self.model.version,
            degraded=audience.degraded,
            removed=(),
            stage_ms=watch.stage_ms,
            nan_scores=int(np.isnan(ranking.scores).sum()),
        )

    def _scores(self, rows: Rows, audience: Audience) -> Vectors:
        interests, request = audience.interests, audience.request
        if interests is None:
            return popularity_scores(self.model.popularity, rows)
        if self.ranker is None or self.signals is None:
            return interest_scores(interests, self.model.retrieval_vectors, rows)
        context = RankingContext(
            interests,
            audience.viewer.history,
            request.now_ms,
            request.local_hour,
            request.standing.region,
            self.signals.counters,
        )
        commerce = self.shelf.facts.column("commerce")[rows]
        predictions = self.ranker.predict(context, rows)
        return values_of(contributions(predictions, audience.rules.value, commerce))

    def _items(
        self, page: Candidates, ranking: Candidates, viewer: Viewer, explain: bool
    ) -> tuple[PageItem, ...]:
        reasons: list[tuple[Reason, ...]] = [()] * len(page)
        if explain:
            reasons = explained(page, ranking, viewer, self.model, self.shelf)
        columns = zip(
            page.rows.tolist(),
            page.scores.tolist(),
            page.sources.tolist(),
            page.propensity.tolist(),
            page.reserve.tolist(),
            reasons,
            strict=True,
        )
        return tuple(
            PageItem(
                item_id=self._item_id(row),
                score=score,
                source=SOURCES[source],
                position=position,
                creator_id=self.shelf.creator_id(row),
                reasons=why,
                propensity=propensity,
                reserve=reserve,
            )
            for position, (row, score, source, propensity, reserve, why) in enumerate(columns, 1)
        )

    def _item_id(self, row: int) -> str:
        return self.model.vocabulary.item_id(row)
