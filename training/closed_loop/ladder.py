"""The exploration ladder of a simulated day, by the server's own rules and accounts."""

from dataclasses import dataclass, field

import numpy as np

from embeddings.live_model import LiveModel
from models.arrays import Mask, Rows
from models.tasks import TASKS
from serving.feed.audience import AudienceRules, LadderExploration, Openings, openings_of
from serving.feed.budgets import Budgets
from serving.feed.exposure import REACTIONS, LadderRules, Rungs, Step, decided, first_budget
from training.closed_loop.people import People
from training.closed_loop.stage import Stage

HELD_MS = 30 * 60_000
TASK_OF_REACTION = {"completion": "long_view"}
COLUMNS = [TASKS.index(TASK_OF_REACTION.get(name, name)) for name in REACTIONS]
NOT_YET = -1


@dataclass
class DayLadder:
    """E new items of the day, in the order of their rows.

    Attributes:
        rows: [E] of the world. first: [E] impressions of the first audience.
        tier, budget, opened_ms: [E]; `opened_ms` NOT_YET before an item is published.
        closed: [E]. reached_ms: [E] when the first audience was complete, else NOT_YET.
        best_tier: [E] that the item has reached.
    """

    stage: Stage
    people: People
    rules: LadderRules
    match: AudienceRules
    budgets: Budgets = field(default_factory=lambda: Budgets(HELD_MS))

    def __post_init__(self) -> None:
        """Nothing is published yet."""
        items, first_new = self.stage.world.items, self.stage.first_new
        count = len(items) - first_new
        self.rows: Rows = first_new + np.arange(count)
        grades = items["shop_grade"].to_pylist()[first_new:]
        self.first = np.array([first_budget(grade, 0.0, self.rules) for grade in grades])
        self.tier, self.best_tier = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.budget = self.first.copy()
        self.opened_ms, self.reached_ms = np.full((2, count), NOT_YET, np.int64)
        self.closed: Mask = np.zeros(count, bool)
        self._kind = self.stage.world.item_traits.kind[self.rows]
        self._category = self.stage.world.item_traits.leaf[self.rows]
        self._names = items["item_id"].to_pylist()[first_new:]
        self._openings: Openings | None = None
        self._places: Rows = np.empty(0, np.int64)

    def rungs(self, now_ms: int) -> tuple[Rungs, Rows]:
        """Where the items that are on the ladder stand, and their places among E."""
        on = np.flatnonzero(self.opened_ms != NOT_YET)
        names = [self._names[e] for e in on.tolist()]
        rows = self.rows[on]
        return Rungs(
            item_ids=tuple(names),
            tier=self.tier[on],
            budget=self.budget[on],
            confirmed=np.array([self.budgets.confirmed(name) for name in names], np.int64),
            held=np.array([self.budgets.held(name, now_ms) for name in names], np.int64),
            opened_ms=self.opened_ms[on],
            closed=self.closed[on],
            viewers=self.people.impressions[rows].astype(np.float64),
            reactions=self.people.reactions[rows][:, COLUMNS].astype(np.float64),
            kind=self._kind[on],
            category=self._category[on],
        ), on

    def look(self, exploration: LadderExploration, model: LiveModel, now_ms: int) -> None:
        """Open what was published, decide, and show what has budget left."""
        published = self.stage.world.item_traits.published_ms[self.rows] <= now_ms
        for e in np.flatnonzero(published & (self.opened_ms == NOT_YET)).tolist():
            self.opened_ms[e] = now_ms
            self.budgets.grant(self._names[e], int(self.first[e]))
        rungs, on = self.rungs(now_ms)
        place = dict(zip(rungs.item_ids, on.tolist(), strict=True))
        for move in decided(rungs, self.rules, now_ms):
            e = place[move.item_id]
            self.tier[e], self.budget[e] = move.to, move.budget
            self.closed[e] = move.step is not Step.PROMOTED
            self.best_tier[e] = max(self.best_tier[e], move.to)
            self.budgets.grant(move.item_id, 0 if self.closed[e] else move.budget)
        rungs, on = self.rungs(now_ms)
        vectors = model.retrieval_vectors[self.rows[on]]
        viewers = exploration.viewers
        openings = openings_of(rungs, self.rows[on], vectors, viewers, self.rules, now_ms)
        exploration.show(openings, self.match)

    def reserve(self, row: int, request_id: str, now_ms: int) -> bool:
        """Reserve one impression of an item."""
        return self.budgets.reserve(self._names[row - self.stage.first_new], request_id, now_ms)

    def confirm(self, row: int, request_id: str, now_ms: int) -> None:
        """An impression was seen."""
        e = row - self.stage.first_new
        if not self.budgets.confirm(self._names[e], request_id):
            return
        full = self.budgets.confirmed(self._names[e]) >= self.first[e]
        if full and self.reached_ms[e] == NOT_YET:
            self.reached_ms[e] = now_ms
