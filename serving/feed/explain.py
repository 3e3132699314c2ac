"""Why each item of a page stands where it stands: stable codes, each with one value."""

import math
from dataclasses import dataclass

import numpy as np

from models.arrays import Rows, Vectors
from models.tasks import PREDICTIONS
from serving.feed.assembly import Assembled
from serving.feed.candidates import SOURCES, Candidates
from serving.feed.contracts import Exploration, InterestModel, Reason
from serving.feed.likeness import LikenessSpace
from serving.feed.question import Question
from serving.feed.shelf import Shelf
from serving.feed.signals import SignalBoard
from serving.feed.trends import EVERYWHERE

TASKS_SHOWN = 3
CODES_OF_SOURCES = {
    "exploration": "new_item",
    "followed": "followed_creator",
    "similar": "like_last_liked",
    "trending": "trending",
}


@dataclass(frozen=True)
class Explainer:
    """What reasons are looked up in."""

    model: InterestModel
    shelf: Shelf
    space: LikenessSpace
    exploration: Exploration | None
    signals: SignalBoard | None

    def reasons(
        self, chosen: Candidates, parts: Vectors | None, page: Assembled, question: Question
    ) -> list[tuple[Reason, ...]]:
        """Return the reasons of each item of the page, in this order: source, nearest item of the
        user's history, largest parts of its value, tier of the ladder, what moved it.

        Args:
            chosen: the page's items [k].
            parts: [k, len(PREDICTIONS)] of their values; None without a ranker.
            page: what moved them. question: whose history is compared.
        """
        nearest = self._nearest(chosen, question)
        columns = zip(
            chosen.rows.tolist(),
            chosen.sources.tolist(),
            nearest,
            [()] * len(chosen) if parts is None else largest_parts(parts),
            page.moves,
            strict=True,
        )
        return [
            (
                *self._source(row, SOURCES[source], question),
                *near,
                *told,
                *self._tier(row),
                *(Reason(code, by) for code, by in moves),
            )
            for row, source, near, told, moves in columns
        ]

    def _source(self, row: int, source: str, question: Question) -> tuple[Reason, ...]:
        if source == "popular":
            rank = np.flatnonzero(self.shelf.popular_rows == row)
            return (Reason("popular", int(rank[0]) + 1),)
        code = CODES_OF_SOURCES.get(source)
        if code is None:
            return ()
        if source == "trending":
            region = question.request.standing.region
            here = self.signals is not None and region in self.signals.trending
            return (Reason(code, region if region and here else EVERYWHERE),)
        return (Reason(code, self.shelf.creator_id(row) or ""),)

    def _nearest(self, chosen: Candidates, question: Question) -> list[tuple[Reason, ...]]:
        rows = nearest_rows(chosen.rows, question.viewer.history.rows, self.space)
        if rows is None:
            return [()] * len(chosen)
        ids = (self.model.vocabulary.item_id(row) for row in rows.tolist())
        return [(Reason("near_history", item_id),) for item_id in ids]

    def _tier(self, row: int) -> tuple[Reason, ...]:
        tier = None if self.exploration is None else self.exploration.tier(row)
        return () if tier is None else (Reason("tier", tier),)


def largest_parts(parts: Vectors) -> list[tuple[Reason, ...]]:
    """The largest parts of each value [k, len(PREDICTIONS)], most telling first."""
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :TASKS_SHOWN]
    return [
        tuple(
            Reason(f"value_{PREDICTIONS[n]}", round(of_item[n], 4))
            for n in tasks
            if of_item[n] and math.isfinite(of_item[n])
        )
        for of_item, tasks in zip(parts.tolist(), order.tolist(), strict=True)
    ]


def nearest_rows(rows: Rows, history: Rows, space: LikenessSpace) -> Rows | None:
    """Return for each row [K] the row of the history [T] that is most like it; None if T = 0."""
    if not len(history):
        return None
    likeness = space.unit(rows) @ space.unit(history).T
    nearest: Rows = history[likeness.argmax(axis=1)]
    return nearest
