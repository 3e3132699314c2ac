"""Composition of hot swap: the feed's seat in this process, its follower and its activator."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from embeddings.feed_model import KIND
from serving.api.services import ServedBundle, Services
from serving.bundles.activation import Activator
from serving.bundles.board import Board
from serving.bundles.follower import Follower, Seat
from serving.feed.contracts import Behaviour, FeedRequest
from serving.records.contracts import Bundles

WARM_UP_PAGES = 20


def feed_seat(services: Services, load: Callable[[str], ServedBundle]) -> Seat[ServedBundle]:
    """Return where the feed's bundle is put.

    Args:
        services: whose bundle is replaced.
        load: version -> verified bundle.
    """

    def stage(version: str) -> ServedBundle:
        bundle = load(version)
        warm_up(bundle, services)
        return bundle

    def swap(bundle: ServedBundle) -> None:
        services.bundle = bundle
        services.metrics.bundle.clear()
        services.metrics.bundle.labels(bundle.version).set(1)

    return Seat(lambda: services.bundle, stage, swap)


def warm_up(bundle: ServedBundle, services: Services) -> None:
    """Ask for pages of people who like items from all over the catalogue.

    The first pages of a bundle fault its files into memory; no user should wait for that.
    """
    names = bundle.engine.model.vocabulary
    for n in range(WARM_UP_PAGES):
        row = n * len(names) // WARM_UP_PAGES
        recent = (Behaviour(names.item_id(row), "like", 0),)
        bundle.engine.feed(FeedRequest(k=20, now_ms=60_000, recent=recent), services.rules(None))


def connect(
    services: Services,
    root: Path,
    board: Board,
    pointers: Bundles,
    load: Callable[[Path], ServedBundle],
    limit_s: float,
) -> None:
    """Let a process follow the feed's pointer, and operators flip it.

    Args:
        services: of the process; gets a background task and an activator.
        root: folder of published bundles.
        board: shared by all replicas.
        pointers: which bundle serves.
        load: folder -> verified bundle.
        limit_s: of staging.
    """
    seat = feed_seat(services, lambda version: load(root / KIND / version))
    follower = Follower(replica_name(), KIND, board, pointers, seat)
    services.background.append(follower.run)
    services.activators[KIND] = Activator(root, KIND, board, pointers, limit_s)


def replica_name() -> str:
    """Tells this process from every other that serves."""
    return f"{socket.gethostname()}-{os.getpid()}"
