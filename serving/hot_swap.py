"""Composition of hot swap: the feed's seat in this process, its follower and its activator."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embeddings.feed_model import KIND
from serving.api.services import ServedBundle, Services
from serving.bundles.activation import Activator
from serving.bundles.board import Board
from serving.bundles.follower import Follower, Seat
from serving.bundles.pointers import CopiedPointers
from serving.bundles.publishing import PUBLISHER, follow_published
from serving.feed.contracts import Behaviour, FeedRequest
from serving.records.contracts import Stores

WARM_UP_PAGES = 20


def feed_seat(services: Services, load: Callable[[str], ServedBundle]) -> Seat[ServedBundle]:
    """Return where the feed's bundle is put.

    Args:
        services: whose bundle is replaced.
        load: version -> verified bundle.
    """

    def stage(version: str) -> ServedBundle:
        with yielding():
            bundle = load(version)
            warm_up(bundle, services)
        return bundle

    def swap(bundle: ServedBundle) -> None:
        services.bundle = bundle
        services.metrics.bundle.clear()
        services.metrics.bundle.labels(bundle.version).set(1)

    return Seat(lambda: services.bundle, stage, swap)


@contextmanager
def yielding() -> Iterator[None]:
    """Let other threads have the interpreter ten times as often as usual.

    Each time a request comes back from the index or a tower, it waits so long for this thread.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(usual_s / 10)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)


def warm_up(bundle: ServedBundle, services: Services) -> None:
    """Ask for pages of people who like items from all over the catalogue.

    The first pages of a bundle fault its files into memory; no user should wait for that.
    """
    names = bundle.engine.model.vocabulary
    for n in range(WARM_UP_PAGES):
        row = n * len(names) // WARM_UP_PAGES
        recent = (Behaviour(names.item_id(row), "like", 0),)
        bundle.engine.feed(FeedRequest(k=20, now_ms=60_000, recent=recent), services.rules(None))


@dataclass(frozen=True)
class SwapLimits:
    """Where bundles are, and how long replicas may take to stage one."""

    root: Path
    staging_limit_s: float


def connect(
    services: Services, board: Board, load: Callable[[Path], ServedBundle], limits: SwapLimits
) -> None:
    """Let a process follow the feed's pointer, and operators flip it.

    Args:
        services: of the process; gets background tasks and an activator.
        board: shared by all replicas.
        load: folder -> verified bundle.
        limits: of staging.
    """
    root = limits.root
    pointers = CopiedPointers(services.stores.bundles, root)
    seat = feed_seat(services, lambda version: load(root / KIND / version))
    follower = Follower(replica_name(), KIND, board, pointers, seat)
    activator = Activator(root, KIND, board, pointers, limits.staging_limit_s)
    services.activators[KIND] = activator
    services.background += [follower.run, lambda: follow_published(activator, pointers)]


def adopt_published(stores: Stores, root: Path) -> None:
    """Let the pointer name what was published while nobody served.

    Raises:
        RecordsError: the pointer cannot be read or flipped.
    """
    pointers = CopiedPointers(stores.bundles, root)
    version = pointers.published(KIND)
    if version is not None:
        pointers.activate(PUBLISHER, KIND, version, None)


def replica_name() -> str:
    """Tells this process from every other that serves."""
    return f"{socket.gethostname()}-{os.getpid()}"
