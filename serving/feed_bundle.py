"""A feed bundle as it serves: engine, live items, and a question whose answer is known."""

from pathlib import Path

import numpy as np

from embeddings.feed_model import FeedModel, load_feed_model
from serving.api.services import ServedBundle
from serving.feed.audience import LadderExploration
from serving.feed.contracts import Behaviour, FeedRequest, ItemNames
from serving.feed.engine import FeedEngine
from serving.feed.filters import DEFAULT_FILTERS, FACT_FILTERS
from serving.feed.rules import FeedRules
from serving.feed.shelf import Shelf
from serving.feed.signals import SignalBoard
from serving.live_items import LiveItems, shelf_of

QUESTION_K, QUESTION_EVENTS = 20, 8


def load_bundle(folder: Path, rules: FeedRules) -> ServedBundle:
    """Load a feed bundle and ask it the question that the readiness probe will repeat.

    Args:
        folder: the bundle's.
        rules: by which the question is answered.

    Raises:
        BundleError: a file is damaged or the parts disagree; names the file.
    """
    model = load_feed_model(folder)
    shelf = shelf_of(model)
    reference = engine_of(model, shelf)
    rules = rules.unhurried
    question = golden_question(model.vocabulary)
    page = reference.feed(question, rules)
    items = LiveItems(model, shelf.copied())
    exploration = LadderExploration(np.random.default_rng())
    engine = FeedEngine(
        items.model,
        items.shelf,
        reference.history_length,
        DEFAULT_FILTERS + FACT_FILTERS,
        exploration=exploration,
        ranker=items.model.ranker,
        signals=board_of(model, items.shelf),
    )
    answer = tuple(item.item_id for item in page.items)
    return ServedBundle(items, engine, reference, question, rules, answer, exploration)


def engine_of(model: FeedModel, shelf: Shelf) -> FeedEngine:
    """Return the engine over a model's own items."""
    length = model.manifest.dimensions["history_length"]
    board = board_of(model, shelf)
    return FeedEngine(model, shelf, length, ranker=model.ranker, signals=board)


def board_of(model: FeedModel, shelf: Shelf) -> SignalBoard:
    """Return a board that begins with what the bundle's training data counted."""
    return SignalBoard(shelf.facts, None if model.ranker is None else model.ranker.base)


def golden_question(names: ItemNames) -> FeedRequest:
    """A request of someone who liked items from all over the catalogue."""
    rows = np.unique(np.linspace(0, len(names) - 1, QUESTION_EVENTS).astype(int))
    recent = tuple(Behaviour(names.item_id(row), "like", -row) for row in rows.tolist())
    return FeedRequest(k=QUESTION_K, now_ms=60_000, recent=recent)
