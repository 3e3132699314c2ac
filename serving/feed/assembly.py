"""Scored candidates -> page: what steers values, what the selectors choose, and why."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows
from serving.feed.candidates import SOURCE_CODES, Candidates
from serving.feed.contracts import ItemNames
from serving.feed.likeness import LikenessSpace
from serving.feed.question import Question
from serving.feed.rules import DiversityRules, FeedRules, WindowRule
from serving.feed.selectors import FREE, Choice, Fixed, Grouping, Selection, selected
from serving.feed.shelf import Shelf
from serving.feed.signals import SignalBoard
from serving.feed.steering import Steering, merits, steering

PINNED, EXPLORATION = "pinned", "exploration_slot"
FIXED = (PINNED, EXPLORATION)  # told of an item even where it has the place of its value
DISPLACED = "displaced"
Moves = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Surroundings:
    """What a page is chosen by, beside its candidates.

    Attributes:
        signals: None where nothing is counted.
    """

    names: ItemNames
    shelf: Shelf
    space: LikenessSpace
    signals: SignalBoard | None = None


@dataclass(frozen=True)
class Assembled:
    """A page of k out of N candidates.

    Attributes:
        page: [k] positions among the candidates, best first.
        moves: [k] of each, the rules that moved it: stable code, and positions gained by it, below
            0 where lost; together the way from the order by value. Empty where the question does
            not ask why.
    """

    page: Rows
    moves: tuple[Moves, ...] = ()


def assembled(
    candidates: Candidates,
    question: Question,
    around: Surroundings,
    absolute: bool = True,
    plain: bool = False,
) -> Assembled:
    """Choose the page of a question.

    Args:
        candidates: scored, in any order; of equal value the earlier one comes first.
        question: whose rules hold.
        around: where names, facts and vectors are looked up.
        absolute: whether a score of 0 means worth nothing.
        plain: leave out all selectors that cost time.
    """
    rules, shelf = question.rules, around.shelf
    steered = steering(
        candidates.rows, rules, question.viewer, around.names, shelf.facts, around.signals
    )
    merit = merits(candidates.scores, steered.factors, absolute)
    by_merit: Rows = np.argsort(-merit, kind="stable")
    ranking = candidates.take(by_merit)
    depth = 0 if plain else _depth(rules, question.request.k)
    choice = Choice(
        merit[by_merit],
        around.space.unit(ranking.rows[:depth]),
        rules.diversity if rules.asks("selector:diversity") else DiversityRules(),
        groupings(ranking.rows, question.viewer.paged, rules, shelf),
        _small(ranking.rows, rules, shelf),
        rules.small_creators.share,
        _fixed(ranking, _drawn(ranking, by_merit), question, around.names),
        question.before,
        int(_small(question.viewer.paged, rules, shelf).sum()),
    )
    selection = selected(choice, question.request.k)
    chosen = by_merit[selection.order]
    if not question.request.explain:
        return Assembled(chosen)
    value_place = _places(merits(candidates.scores, np.ones(len(candidates), np.float32)))[chosen]
    return Assembled(chosen, _moves(selection, chosen, value_place, steered))


def _places(merit: NDArray[np.float64]) -> Rows:
    """Place [K] of each candidate in the order of merit."""
    places = np.empty(len(merit), np.int64)
    places[np.argsort(-merit, kind="stable")] = np.arange(len(merit))
    return places


def groupings(rows: Rows, paged: Rows, rules: FeedRules, shelf: Shelf) -> list[Grouping]:
    """The window rules of a surface over candidates [N] that follow the rows of earlier pages."""
    found = []
    spread = WindowRule(rules.creator_window, rules.creator_limit)
    if spread.limit < spread.window and rules.asks("selector:creator_spread"):
        creators = shelf.creator_codes
        before = creators[paged[-spread.window :]].tolist()
        found.append(Grouping("creator_spread", creators[rows], spread, before))
    if rules.commerce.limit < rules.commerce.window and rules.asks("selector:commerce_density"):
        sells = shelf.facts.column("commerce")
        before = np.where(sells[paged[-rules.commerce.window :]], 0, FREE).tolist()
        groups = np.where(sells[rows], 0, FREE)
        found.append(Grouping("commerce_density", groups, rules.commerce, before))
    return found


def _depth(rules: FeedRules, k: int) -> int:
    return max(rules.diversity.depth, 2 * k)


def _small(rows: Rows, rules: FeedRules, shelf: Shelf) -> Mask:
    if not rules.small_creators.share or not rules.asks("selector:small_creators"):
        return np.zeros(len(rows), bool)
    return shelf.small_creators(rows, rules.small_creators.tail)


def _drawn(ranking: Candidates, by_merit: Rows) -> Rows:
    new = np.flatnonzero(ranking.sources == SOURCE_CODES["exploration"])
    return new[np.argsort(by_merit[new])]


def _fixed(ranking: Candidates, drawn: Rows, question: Question, names: ItemNames) -> list[Fixed]:
    """Pins at their very positions, new items at their places or right after.

    Args:
        ranking: in the order of merit.
        drawn: positions in the ranking of new items, in the order in which they were drawn.
        question: gives pins and places. names: of the items.
    """
    fixed = []
    for pin in question.pins:
        at = np.flatnonzero(ranking.rows == (names.rows([pin.item_id])[0]))
        if len(at):
            place = pin.position - question.before - 1
            fixed.append(Fixed(int(at[0]), place, PINNED, waits=False))
    places = question.rules.exploration.places(question.request.k, question.before)
    fixed += [
        Fixed(n, place, EXPLORATION, waits=True)
        for n, place in zip(drawn.tolist(), places, strict=False)
    ]
    return sorted(fixed, key=lambda one: (one.place, one.waits))


def _moves(
    selection: Selection, chosen: Rows, value_place: Rows, steered: Steering
) -> tuple[Moves, ...]:
    """What moved each chosen item: a factor on its value, a selector, and what moved the others.

    Args:
        selection: over candidates in the order of merit. chosen: [k] positions of its order.
        value_place: [k] place of each in the order of value. steered: factors and their causes.
    """
    found = []
    columns = zip(selection.order.tolist(), chosen.tolist(), value_place.tolist(), strict=True)
    for position, (merit_place, candidate, place) in enumerate(columns):
        steps = [
            (steered.causes.get(candidate, DISPLACED), place - merit_place),
            (selection.causes.get(merit_place, DISPLACED), merit_place - position),
        ]
        named = [(code, by) for code, by in steps if code in FIXED or (by and code != DISPLACED)]
        others = sum(by for code, by in steps if code == DISPLACED)
        found.append((*named, (DISPLACED, others)) if others else tuple(named))
    return tuple(found)
