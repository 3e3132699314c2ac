"""Where candidates come from, each with its quota."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors
from models.features import ACTION_CODES, ACTIONS, History
from serving.feed.candidates import Candidates, merged, unscored
from serving.feed.contracts import InterestModel
from serving.feed.hydrate import Viewer
from serving.feed.question import Question
from serving.feed.shelf import Shelf
from serving.feed.signals import SignalBoard

FOLLOW, UNFOLLOW = ACTION_CODES["follow"], ACTION_CODES["unfollow"]
LIKES = ("like", "comment", "share", "follow", "add_cart", "purchase")
IS_LIKE = np.array([name in LIKES for name in ACTIONS])  # by code


@dataclass(frozen=True)
class Sourcing:
    """What sources look into.

    Attributes:
        signals: None where nothing is counted.
    """

    model: InterestModel
    shelf: Shelf
    signals: SignalBoard | None


def interest_source(
    model: InterestModel, interests: Vectors, count: int, allowed: Mask | None = None
) -> Rows:
    """Return the items nearest to one user's interests [M, D], at most `count`."""
    return model.retrieve(interests, count, allowed)[0]


def followed_source(viewer: Viewer, shelf: Shelf, count: int) -> Rows:
    """Return the newest items of the creators whom the viewer follows, at most `count`."""
    creators = shelf.creator_codes
    followed = followed_creators(viewer.history, creators)
    if not followed:
        return np.empty(0, np.int64)
    wanted = np.zeros(len(shelf.creators) + 1, bool)  # the last one is where NO_CREATOR points
    wanted[followed] = True
    rows = np.flatnonzero(wanted[creators])
    newest = np.lexsort((-rows, -shelf.facts.column("published_at_ms")[rows]))
    return rows[newest[:count]]


def followed_creators(history: History, creators: NDArray[np.int32]) -> list[int]:
    """Codes of the creators whose newest follow was not taken back."""
    said: dict[int, bool] = {}
    about = (history.actions == FOLLOW) | (history.actions == UNFOLLOW)
    for n in np.flatnonzero(about).tolist():
        said.setdefault(int(creators[history.rows[n]]), int(history.actions[n]) == FOLLOW)
    return [code for code, follows in said.items() if follows and code >= 0]


def last_liked(history: History) -> History | None:
    """The newest event of the history that tells of liking, alone; None if there is none."""
    liked = np.flatnonzero(IS_LIKE[history.actions])[:1]
    if not len(liked):
        return None
    return History(
        history.rows[liked],
        history.actions[liked],
        history.watch_ratio[liked],
        history.age_s[liked],
    )


def gathered(
    question: Question, sourcing: Sourcing, in_time: Callable[[], bool]
) -> tuple[Candidates, bool]:
    """Ask the sources one after the other; a row found twice keeps the source named first.

    Args:
        question: whose quotas are asked for.
        sourcing: what they look into.
        in_time: whether there is time for one more source.

    Returns:
        the candidates, and whether any source was left out for want of time. What is popular is
        always asked, so that a page can be filled.
    """
    parts, late = [], False
    for name, ask in _asked(question, sourcing):
        if not in_time():
            late = True
            break
        parts.append(unscored(ask(), name))
    viewer, rules = question.viewer, question.rules
    needed = question.request.k + len(viewer.seen) + len(viewer.excluded)
    wanted = rules.popular_candidates
    if question.interests is None:  # it stands in for the nearest
        wanted += rules.interest_candidates
    popular = sourcing.shelf.popular_rows[: max(wanted, needed)]
    return merged([*parts, unscored(popular, "popular")]), late


def _asked(question: Question, sourcing: Sourcing) -> Sequence[tuple[str, Callable[[], Rows]]]:
    viewer, rules, model = question.viewer, question.rules, sourcing.model
    found: list[tuple[str, Callable[[], Rows]]] = []
    followed, trending = rules.followed_candidates, rules.trending_candidates
    if followed and rules.asks("source:followed"):
        found.append(("followed", lambda: followed_source(viewer, sourcing.shelf, followed)))
    if (interests := question.interests) is not None and rules.asks("source:interest"):
        # Enough for a full page even if all that the filters will remove is among them.
        needed = question.request.k + len(viewer.seen) + len(viewer.excluded)
        nearest = max(rules.interest_candidates, needed)
        found.append(("interest", lambda: interest_source(model, interests, nearest)))
    if (liked := question.liked) is not None and rules.asks("source:similar"):
        similar = rules.similar_candidates
        found.append(("similar", lambda: interest_source(model, liked, similar)))
    if (board := sourcing.signals) and trending and rules.asks("source:trending"):
        region = question.request.standing.region
        found.append(("trending", lambda: viewer.unlimited(board.hottest(region, trending))))
    return found
