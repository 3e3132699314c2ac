"""Scored candidates -> page: what steers values, what the selectors choose, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Mask, Rows, Vectors
from serving.feed.candidates import SOURCE_CODES, Candidates
from serving.feed.contracts import InterestModel, ItemNames
from serving.feed.question import Question
from serving.feed.rules import DiversityRules, FeedRules, WindowRule
from serving.feed.selectors import FREE, Choice, Fixed, Grouping, selected
from serving.feed.shelf import Shelf
from serving.feed.steering import Steering, merits, steering

PINNED, EXPLORATION = "pinned", "exploration_slot"
DISPLACED = "displaced"


@dataclass(frozen=True)
class Assembled:
    """A page of k out of N candidates.

    Attributes:
        page: [k] positions among the candidates, best first.
        moved: [k] positions gained against the order by value; below 0 where lost.
        causes: [k] stable code of the rule that moved an item; "" where none did.
    """

    page: Rows
    moved: Rows
    causes: tuple[str, ...]


def assembled(
    candidates: Candidates,
    question: Question,
    model: InterestModel,
    shelf: Shelf,
    plain: bool = False,
) -> Assembled:
    """Choose the page of a question.

    Args:
        candidates: scored, in any order; of equal value the earlier one comes first.
        question: whose rules hold.
        model: gives names, and vectors for diversity. shelf: gives facts.
        plain: leave out all selectors that cost time.
    """
    rules = question.rules
    steered = steering(candidates.rows, rules, question.viewer, model.vocabulary, shelf.facts)
    merit = merits(candidates.scores, steered.factors)
    by_merit: Rows = np.argsort(-merit, kind="stable")
    ranking = candidates.take(by_merit)
    depth = 0 if plain else _depth(rules, question.request.k)
    choice = Choice(
        merit[by_merit],
        unit_vectors(model, ranking.rows[:depth]),
        rules.diversity if rules.asks("selector:diversity") else DiversityRules(),
        groupings(ranking.rows, question.viewer.paged, rules, shelf),
        _small(ranking.rows, rules, shelf),
        rules.small_creators.share,
        _fixed(ranking, _drawn(ranking, by_merit), question, model.vocabulary),
    )
    selection = selected(choice, question.request.k)
    chosen = by_merit[selection.order]
    untouched = np.ones(len(candidates), np.float32)
    by_value: Rows = np.argsort(-merits(candidates.scores, untouched), kind="stable")
    place = np.empty(len(candidates), np.int64)
    place[by_value] = np.arange(len(candidates))
    moved = place[chosen] - np.arange(len(chosen))
    causes = [selection.causes.get(n, "") for n in selection.order.tolist()]
    return Assembled(chosen, moved, _causes(chosen, moved, causes, steered))


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


def unit_vectors(model: InterestModel, rows: Rows) -> Vectors:
    """Retrieval vectors [P, D] of length 1; a vector of no length stays."""
    vectors: Vectors = np.asarray(model.retrieval_vectors[rows])
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    unit: Vectors = vectors / np.maximum(lengths, 1e-12)[:, None]
    return unit


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
    rules, k = question.rules, question.request.k
    fixed = []
    for pin in () if question.request.paged else rules.pins:
        at = np.flatnonzero(ranking.rows == (names.rows([pin.item_id])[0]))
        if len(at) and pin.position <= k:
            fixed.append(Fixed(int(at[0]), pin.position - 1, PINNED, waits=False))
    places = rules.exploration.places(k)
    fixed += [
        Fixed(n, place, EXPLORATION, waits=True)
        for n, place in zip(drawn.tolist(), places, strict=False)
    ]
    return sorted(fixed, key=lambda one: (one.place, one.waits))


def _causes(chosen: Rows, moved: Rows, causes: Sequence[str], steered: Steering) -> tuple[str, ...]:
    """What moved each chosen item: a selector, else what steered its value, else the others."""
    return tuple(
        cause or steered.causes.get(n, DISPLACED) if gained or cause == PINNED else ""
        for n, gained, cause in zip(chosen.tolist(), moved.tolist(), causes, strict=True)
    )
