"""Ranked candidates -> page: diversity, spread, density, shares and fixed places in one pass."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors
from serving.feed.rules import DiversityRules, WindowRule

FREE = -1  # group of what no window rule counts
NONE_LEFT = -np.inf
DIVERSITY, SMALL_CREATOR = "diversity", "small_creator"


@dataclass(frozen=True)
class Grouping:
    """A window rule and the group of each candidate.

    Attributes:
        cause: stable code of the rule.
        groups: [N]; FREE where a candidate has none.
        before: groups of the positions before the first, in their order.
    """

    cause: str
    groups: NDArray[np.integer]
    rule: WindowRule
    before: Sequence[int] = ()


@dataclass(frozen=True)
class Fixed:
    """A candidate whose place does not follow from its merit.

    Attributes:
        candidate: its position among the candidates. place: from 0, the earliest.
        cause: stable code. waits: until no window rule forbids it.
    """

    candidate: int
    place: int
    cause: str
    waits: bool


@dataclass(frozen=True)
class Choice:
    """What is chosen from, and by which rules.

    Attributes:
        merits: [N], finite, descending.
        unit: [P, D] vectors of length 1 of the first P candidates: what diversity looks at.
        groupings: window rules.
        small: [N] true for items of small creators.
        small_share: of the positions, at least, while any are left.
        fixed: by place.
        before: places of the pages before this one. small_before: those of them that small
            creators have.
    """

    merits: NDArray[np.float64]
    unit: Vectors
    diversity: DiversityRules
    groupings: Sequence[Grouping]
    small: Mask
    small_share: float = 0.0
    fixed: Sequence[Fixed] = ()
    before: int = 0
    small_before: int = 0


@dataclass(frozen=True)
class Selection:
    """What became of N candidates.

    Attributes:
        order: [k] positions of the chosen ones.
        causes: by candidate, the rule that moved it away from its place by merit.
    """

    order: Rows
    causes: dict[int, str]


def selected(choice: Choice, k: int) -> Selection:
    """Choose `k` candidates one after the other, each the best of what the rules leave.

    Diversity is maximal marginal relevance (Carbonell & Goldstein 1998): merit less `strength`
    times the range of merits times the highest cosine with a chosen one. Where only what a rule
    forbids is left, the best of it is taken: no rule shortens a page.
    """
    page = _Page(choice)
    waiting = list(choice.fixed)
    for place in range(min(k, len(choice.merits))):
        ready = _ready(waiting, place, page) if waiting else None
        if ready is not None:
            waiting.remove(ready)
            page.place(ready.candidate, ready.cause)
        else:
            page.place_best(page.small_due(place))
    return Selection(np.array(page.order, np.int64), page.causes)


def _ready(waiting: Sequence[Fixed], place: int, page: "_Page") -> Fixed | None:
    """What is put at this place whatever its merit."""
    for one in waiting:
        if one.place <= place and not (one.waits and page.blocked[one.candidate]):
            return one
    return waiting[0] if page.only_fixed_left(len(waiting)) else None


class _Page:
    """A page in the making.

    Attributes:
        blocked: [N] how many rules forbid a candidate at the next position.
    """

    def __init__(self, choice: Choice) -> None:
        self.order: list[int] = []
        self.causes: dict[int, str] = {}
        self.blocked = np.zeros(len(choice.merits), np.int8)
        self._choice = choice
        self._left: NDArray[np.float64] = choice.merits.astype(
            np.float64
        )  # of those that merit may still choose
        self._left[[one.candidate for one in choice.fixed]] = NONE_LEFT
        self._windows = [_Window(one, self.blocked) for one in choice.groupings]
        self._small_taken = choice.small_before
        self._first = 0  # no candidate before it is left to merit
        pool = len(choice.unit)
        self._losses: Vectors = np.zeros((0, 0), np.float32)
        self._loss = np.zeros(pool, np.float32)  # by likeness with what is on the page
        if choice.diversity.strength and pool:
            scale = float(choice.merits[0] - choice.merits[pool - 1])
            weighted = choice.unit * np.float32(choice.diversity.strength * scale)
            self._losses = np.asarray(weighted @ choice.unit.T, np.float32)

    def only_fixed_left(self, waiting: int) -> bool:
        """Whether merit has nothing left to choose."""
        return len(self.order) + waiting >= len(self.blocked)

    def small_due(self, place: int) -> bool:
        """Whether small creators have less than their share if this place is not theirs."""
        places = self._choice.before + place + 1
        return int(self._choice.small_share * places) > self._small_taken

    def place_best(self, small_due: bool) -> None:
        """Give the next position to the best that the rules leave."""
        pool = len(self._loss)
        adjusted: NDArray[np.float64] = self._left[:pool] - self._loss
        if any(window.forbidding for window in self._windows):
            adjusted[self.blocked[:pool] > 0] = NONE_LEFT
        cause = DIVERSITY
        if small_due:
            of_small = np.where(self._choice.small[:pool], adjusted, NONE_LEFT)
            if of_small.max(initial=NONE_LEFT) > NONE_LEFT:
                adjusted, cause = of_small, SMALL_CREATOR
        best = int(adjusted.argmax()) if pool else 0
        if not pool or adjusted[best] == NONE_LEFT:
            best = self._best_of_all()
        self.place(best, cause)

    def place(self, candidate: int, cause: str) -> None:
        """Give the next position to a candidate, and note for which rule it passes a better one."""
        first = self._best_left()
        if first is not None and candidate != first:
            passed = next((w.cause for w in self._windows if w.forbids(first)), cause)
            self.causes.setdefault(candidate, passed if cause == DIVERSITY else cause)
            self.causes.setdefault(first, passed)
        self.order.append(candidate)
        self._left[candidate] = NONE_LEFT
        self._small_taken += int(self._choice.small[candidate])
        for window in self._windows:
            window.place(candidate)
        if candidate < len(self._losses):
            np.maximum(self._loss, self._losses[candidate], out=self._loss)

    def _best_left(self) -> int | None:
        """The best candidate that merit may still choose: merits descend."""
        while self._first < len(self._left) and self._left[self._first] == NONE_LEFT:
            self._first += 1
        return self._first if self._first < len(self._left) else None

    def _best_of_all(self) -> int:
        allowed = np.where(self.blocked > 0, NONE_LEFT, self._left)
        best = int(allowed.argmax())
        return best if allowed[best] > NONE_LEFT else int(self._left.argmax())


class _Window:
    """One grouping's count of the newest positions.

    Attributes:
        forbidding: groups that have reached the limit.
    """

    def __init__(self, grouping: Grouping, blocked: NDArray[np.int8]) -> None:
        self.cause = grouping.cause
        self._groups = grouping.groups
        self._codes: list[int] = grouping.groups.tolist()
        self._rule = grouping.rule
        self._blocked = blocked
        self._near: deque[int] = deque()
        self._counts: dict[int, int] = {}
        self.forbidding = 0
        for group in grouping.before:
            self._push(group)

    def forbids(self, candidate: int) -> bool:
        group = self._codes[candidate]
        return group != FREE and self._counts.get(group, 0) >= self._rule.limit

    def place(self, candidate: int) -> None:
        self._push(self._codes[candidate])

    def _push(self, group: int) -> None:
        self._near.append(group)
        self._count(group, 1)
        if len(self._near) >= self._rule.window:
            self._count(self._near.popleft(), -1)

    def _count(self, group: int, change: int) -> None:
        if group == FREE:
            return
        count = self._counts.get(group, 0)
        self._counts[group] = count + change
        before, after = count >= self._rule.limit, count + change >= self._rule.limit
        if before != after:
            self.forbidding += change
            self._blocked[self._groups == group] += change
