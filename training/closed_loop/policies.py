"""The two feeds that ours is compared with; they see what ours sees."""

from dataclasses import dataclass

import numpy as np

from embeddings.content import content_of
from embeddings.feed_model import FeedModel
from embeddings.live_model import LiveModel
from models.arrays import Rows, Vectors
from training.closed_loop.day import Visitors
from training.closed_loop.people import People
from training.closed_loop.stage import Stage
from training.datasets.simulator import Responses


class Catalogue:
    """The items that are out, in rows of the world, and the towers over them."""

    def __init__(self, stage: Stage, bundle: FeedModel) -> None:
        self._stage, self._waiting = stage, stage.first_new
        self.model = LiveModel(bundle)
        self.length = bundle.manifest.dimensions["history_length"]

    def publish(self, now_ms: int) -> None:
        """Embed what is out by now."""
        until = (
            int(
                np.searchsorted(
                    self._stage.world.item_traits.published_ms[self._stage.first_new :],
                    now_ms,
                    side="right",
                )
            )
            + self._stage.first_new
        )
        if until > self._waiting:
            items = self._stage.world.items.slice(self._waiting, until - self._waiting)
            self.model.put(self.model.embed(content_of(items.to_pylist())))
            self._waiting = until

    def interests(self, people: People, users: Rows, now_ms: int) -> Vectors:
        """[B, M, D] of B users."""
        return self.model.interests(people.histories(users, now_ms, self.length))

    def nearness(self, interests: Vectors) -> Vectors:
        """Scores [B, N] of every item that is out."""
        vectors = self.model.retrieval_vectors[np.arange(len(self.model.vocabulary))]
        best: Vectors = np.einsum("bmd,nd->bmn", interests, vectors).max(axis=1)
        return best


@dataclass
class PopularFeed:
    """What most people viewed long, the same for everyone who may see it and has not yet."""

    stage: Stage
    people: People

    def begin(self, now_ms: int) -> None:
        """See `Policy.begin`."""

    def pages(self, visitors: Visitors) -> Rows:
        """See `Policy.pages`."""
        score = np.broadcast_to(
            self.people.reactions[:, 0], (len(visitors.users), len(self.people.impressions))
        )
        return best_unseen(self.stage, self.people, visitors, score)

    def learn(self, visitors: Visitors, pages: Rows, told: Responses) -> None:
        """See `Policy.learn`."""
        learned(self.people, visitors, pages, told)


@dataclass
class InterestFeed:
    """What is nearest to the user's interests, and nothing else."""

    stage: Stage
    people: People
    catalogue: Catalogue

    def begin(self, now_ms: int) -> None:
        """See `Policy.begin`."""
        self.catalogue.publish(now_ms)

    def pages(self, visitors: Visitors) -> Rows:
        """See `Policy.pages`."""
        asking = visitors.asking
        page = np.full((len(asking), self.stage.plan.page), -1)
        if asking.any():
            users = visitors.users[asking]
            found = self.catalogue.nearness(
                self.catalogue.interests(self.people, users, visitors.now_ms)
            )
            page[asking] = best_unseen(
                self.stage, self.people, Visitors(users, asking[asking], visitors.now_ms), found
            )
        return page

    def learn(self, visitors: Visitors, pages: Rows, told: Responses) -> None:
        """See `Policy.learn`."""
        learned(self.people, visitors, pages, told)


def best_unseen(stage: Stage, people: People, visitors: Visitors, score: Vectors) -> Rows:
    """Pages [B, K] of the items with the highest score [B, N'] that may be shown and were not."""
    n = score.shape[1]
    fit = stage.eligible[visitors.users, :n] & stage.out(visitors.now_ms)[:n]
    open_ = fit & ~people.seen[visitors.users, :n] & visitors.asking[:, None]
    order = np.argsort(np.where(open_, -score, np.inf), axis=1, kind="stable")[:, : stage.plan.page]
    return np.where(np.take_along_axis(open_, order, axis=1), order, -1)


def learned(people: People, visitors: Visitors, pages: Rows, told: Responses) -> None:
    """Take in pages that were opened at the same moment."""
    people.learn(visitors.users, pages, told, np.full(len(visitors.users), visitors.now_ms))
