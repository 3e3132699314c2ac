"""Where candidates come from."""

from models.arrays import Mask, Vectors
from serving.feed.candidates import Candidates, unscored
from serving.feed.contracts import InterestModel
from serving.feed.shelf import Shelf


def interest_source(
    model: InterestModel, interests: Vectors, count: int, allowed: Mask | None = None
) -> Candidates:
    """Return the items nearest to one user's interests [M, D], at most `count`."""
    rows, _ = model.retrieve(interests, count, allowed)
    return unscored(rows, "interest")


def popular_source(shelf: Shelf, count: int) -> Candidates:
    """Return the most popular items, at most `count`."""
    return unscored(shelf.popular_rows[:count], "popular")
