"""The feed: hydrate -> sources -> filters -> scorers -> selectors, over one bundle."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from models.arrays import Mask, Rows, Vectors
from models.features import batch_histories
from serving.feed.assembly import Assembled, Surroundings, assembled
from serving.feed.candidates import SOURCE_CODES, SOURCES, Candidates, drawn, merged, unscored
from serving.feed.contracts import (
    Behaviour,
    Exploration,
    FeedRequest,
    InterestModel,
    Page,
    PageItem,
    Ranker,
    Reason,
    Removed,
)
from serving.feed.explain import Explainer
from serving.feed.filters import DEFAULT_FILTERS, Filter, filtered
from serving.feed.hydrate import hydrate
from serving.feed.likeness import LikenessSpace, likeness_space
from serving.feed.question import Question
from serving.feed.rules import FeedRules
from serving.feed.scorers import (
    interest_scores,
    popularity_scores,
    ranker_parts,
    ranking_context,
)
from serving.feed.shelf import Shelf
from serving.feed.signals import SignalBoard
from serving.feed.sources import Sourcing, gathered, interest_source, last_liked
from serving.feed.steering import category_share
from serving.feed.stopwatch import Lateness, Stopwatch
from serving.feed.value import values_of

NOTHING = unscored(np.empty(0, np.int64), "exploration")


@dataclass(frozen=True)
class FeedEngine:
    """Answers requests from one bundle; of them it remembers only which stages were late.

    Attributes:
        model: towers, vectors and index. shelf: facts of the same items.
        history_length: T of the user tower.
        filters: asked in their order; the first that refuses names the reason.
        ranker: of the same bundle; None for a bundle without one, whose score is the interest.
        exploration: of the same items; None for no ladder.
        signals: what is counted of the items; None counts nothing.
        lateness: stages that are too slow at the moment.
    """

    model: InterestModel
    shelf: Shelf
    history_length: int
    filters: tuple[Filter, ...] = DEFAULT_FILTERS
    ranker: Ranker | None = None
    exploration: Exploration | None = None
    signals: SignalBoard | None = None
    lateness: Lateness = field(default_factory=Lateness, compare=False)

    @cached_property
    def space(self) -> LikenessSpace:
        """Where items are compared with each other."""
        return likeness_space(self.model.retrieval_vectors, len(self.model.vocabulary))

    def feed(self, request: FeedRequest, rules: FeedRules) -> Page:
        """Return the best `request.k` items for one user.

        Raises:
            DeadlineError: the deadline passed between two stages.
        """
        watch = Stopwatch(request.deadline_s)
        question = self._question(request, rules, watch)
        found, late = gathered(
            question,
            Sourcing(self.model, self.shelf, self.signals),
            lambda: watch.running_ms <= rules.budgets.sources_ms,
        )
        if late:
            question = question.worse("sources_late")
        watch.lap("sources")
        kept, _ = filtered(found, self.filters, question.viewer)
        if len(kept) < request.k and len(found) < len(self.model.vocabulary):
            kept = self._searched_wider(kept, question)
        watch.lap("filters")
        placed = [part for part in (self._pinned(question), self._explored(question)) if len(part)]
        watch.lap("exploration")
        return self._page(merged([*placed, kept]) if placed else kept, question, watch)

    def rank(self, request: FeedRequest, candidate_ids: Sequence[str], rules: FeedRules) -> Page:
        """Return the best `request.k` of the caller's items, and what was removed and why.

        Raises:
            DeadlineError: the deadline passed between two stages.
        """
        watch = Stopwatch(request.deadline_s)
        question = self._question(request, rules, watch)
        rows, removed = self._rows_of(candidate_ids)
        kept, reasons = filtered(unscored(rows, "request"), self.filters, question.viewer)
        removed += [Removed(self._item_id(row), reason) for row, reason in reasons.items()]
        watch.lap("filters")
        return replace(self._page(kept, question, watch), removed=tuple(removed))

    def related(self, request: FeedRequest, item_id: str, rules: FeedRules) -> Page:
        """Return the best `request.k` items for someone who has liked this item and nothing else.

        Raises:
            KeyError: the bundle and the catalogue do not know the item.
            DeadlineError: the deadline passed between two stages.
        """
        watch = Stopwatch(request.deadline_s)
        if self.model.vocabulary.rows([item_id])[0] < 0:
            raise KeyError(item_id)
        liking = (Behaviour(item_id, "like", request.now_ms),)
        met = [one.item_id for one in request.recent]
        asked = replace(request, recent=liking, seen=(*request.seen, *met, item_id))
        question = self._question(asked, rules, watch)
        nearest = np.empty(0, np.int64)
        if question.interests is not None:
            nearest = interest_source(self.model, question.interests, rules.interest_candidates)
        watch.lap("sources")
        kept, _ = filtered(unscored(nearest, "similar"), self.filters, question.viewer)
        if len(kept) < request.k and question.interests is not None:
            wider = interest_source(
                self.model, question.interests, request.k, self._allowed(question)
            )
            kept = merged([kept, unscored(wider, "similar")])
        watch.lap("filters")
        return self._page(kept, question, watch)

    def _question(self, request: FeedRequest, rules: FeedRules, watch: Stopwatch) -> Question:
        viewer = hydrate(request, self.model.vocabulary, self.shelf, rules.minors)
        watch.lap("hydrate")
        question = Question(request, rules, viewer, degraded=request.degraded)
        if not len(viewer.history):
            nothing = "unknown_items" if request.recent else "unknown_user"
            return question if request.degraded else question.worse(nothing)
        liked = last_liked(viewer.history) if rules.similar_candidates else None
        histories = [viewer.history] if liked is None else [viewer.history, liked]
        interests = self.model.interests(batch_histories(histories, self.history_length))
        watch.lap("interests")
        if not np.isfinite(interests).all():
            return question.worse("interests_not_finite")
        return replace(
            question, interests=interests[0], liked=None if liked is None else interests[1]
        )

    def _searched_wider(self, kept: Candidates, question: Question) -> Candidates:
        """With more of what may be shown, where what the sources gave mostly may not."""
        allowed = self._allowed(question)
        popular = self.shelf.popular_rows[allowed[self.shelf.popular_rows]]
        parts = [kept.take(kept.sources != SOURCE_CODES["popular"]), unscored(popular, "popular")]
        if question.interests is not None and question.rules.asks("source:interest"):
            count = max(question.rules.interest_candidates, question.request.k)
            nearest = interest_source(self.model, question.interests, count, allowed)
            parts.insert(1, unscored(nearest, "interest"))
        return merged(parts)

    def _allowed(self, question: Question) -> Mask:
        """[N] true where an item may be shown."""
        everything = unscored(np.arange(len(self.model.vocabulary)), "request")
        allowed = np.zeros(len(everything), bool)
        allowed[filtered(everything, self.filters, question.viewer)[0].rows] = True
        return allowed

    def _pinned(self, question: Question) -> Candidates:
        if not question.pins:
            return NOTHING
        rows = self.model.vocabulary.rows([pin.item_id for pin in question.pins])
        pinned = unscored(np.unique(rows[rows >= 0]), "pinned")
        return filtered(pinned, self.filters, question.viewer)[0]

    def _explored(self, question: Question) -> Candidates:
        request, viewer = question.request, question.viewer
        places = question.rules.exploration.places(request.k, question.before)
        asked = request.explore and question.rules.asks("source:exploration")
        if self.exploration is None or not places or not asked:
            return NOTHING

        def keeps(rows: Rows) -> Mask:
            kept, _ = filtered(unscored(rows, "exploration"), self.filters, viewer)
            return np.isin(rows, viewer.unlimited(kept.rows))

        def taste(rows: Rows) -> Vectors:
            return category_share(rows, viewer, self.shelf.facts)

        interests, count = question.interests, len(places)
        return drawn(*self.exploration.draw(request, interests, keeps, count, taste))

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

    def _page(self, candidates: Candidates, question: Question, watch: Stopwatch) -> Page:
        parts, question = self._parts(candidates.rows, question, watch)
        scores = self._plain(candidates.rows, question) if parts is None else values_of(parts)
        candidates = replace(candidates, scores=scores)
        watch.lap("scorers")
        plain = self.lateness.rests("selectors")
        around = Surroundings(self.model.vocabulary, self.shelf, self.space, self.signals)
        page = assembled(candidates, question, around, parts is not None, plain)
        budget_ms = question.rules.budgets.selectors_ms
        if plain or self.lateness.over("selectors", watch.running_ms, budget_ms):
            question = question.worse("selectors_late")
        items = self._items(candidates, parts, page, question)
        watch.lap("selectors")
        return Page(
            items=items,
            bundle=self.model.version,
            degraded=question.degraded,
            removed=(),
            stage_ms=watch.stage_ms,
            nan_scores=int((~np.isfinite(scores)).sum()),
        )

    def _parts(
        self, rows: Rows, question: Question, watch: Stopwatch
    ) -> tuple[Vectors | None, Question]:
        """What the ranker says of rows; None without a ranker, or while it is off or too slow."""
        if self.ranker is None or self.signals is None or not len(rows):
            return None, question
        if not question.rules.asks("ranker"):
            return None, question.worse("ranker_off")
        if self.lateness.rests("ranker"):
            return None, question.worse("ranker_late")
        context = ranking_context(question, self.signals, self.model.retrieval_vectors)
        weights, facts = question.rules.value, self.shelf.facts
        parts = ranker_parts(self.ranker, context, rows, weights, facts)
        if self.lateness.over("ranker", watch.running_ms, question.rules.budgets.ranker_ms):
            return None, question.worse("ranker_late")
        return parts, question

    def _plain(self, rows: Rows, question: Question) -> Vectors:
        """Scores without a ranker."""
        if question.interests is None:
            return popularity_scores(self.model.popularity, rows)
        return interest_scores(question.interests, self.model.retrieval_vectors, rows)

    def _items(
        self, candidates: Candidates, parts: Vectors | None, page: Assembled, question: Question
    ) -> tuple[PageItem, ...]:
        chosen = candidates.take(page.page)
        creators = self.shelf.creator_ids(chosen.rows)
        reasons: list[tuple[Reason, ...]] = [()] * len(chosen)
        if question.request.explain:
            told = None if parts is None else parts[page.page]
            explainer = Explainer(
                self.model, self.shelf, self.space, self.exploration, self.signals
            )
            reasons = explainer.reasons(chosen, told, page, question)
        columns = zip(
            chosen.rows.tolist(),
            chosen.scores.tolist(),
            chosen.sources.tolist(),
            chosen.propensity.tolist(),
            chosen.reserve.tolist(),
            creators,
            reasons,
            strict=True,
        )
        return tuple(
            PageItem(self._item_id(row), score, SOURCES[source], position, creator, why, *chance)
            for position, (row, score, source, *chance, creator, why) in enumerate(columns, 1)
        )

    def _item_id(self, row: int) -> str:
        return self.model.vocabulary.item_id(row)
