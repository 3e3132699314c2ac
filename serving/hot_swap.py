"""Composition of hot swap: the seats of both kinds in this process, followers and activators."""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from embeddings import feed_model, text_model
from serving.api.services import ServedBundle, Services
from serving.bundles.activation import Activator
from serving.bundles.board import Board
from serving.bundles.follower import Follower, Seat, Versioned
from serving.bundles.pointers import CopiedPointers
from serving.bundles.publishing import PUBLISHER, follow_published
from serving.feed.contracts import Behaviour, FeedRequest
from serving.moderation.desk import ModerationDesk
from serving.moderation.verdict import Moderator
from serving.records.contracts import BundleKind, Stores

WARM_UP_PAGES = 20
RELEASE_S = 1.0  # requests that began with the bundle before are answered by then
KINDS: tuple[BundleKind, ...] = (feed_model.KIND, text_model.KIND)

Loaded = TypeVar("Loaded", bound=Versioned)


def feed_seat(
    services: Services, load: Callable[[str], ServedBundle], warm: bool = True
) -> Seat[ServedBundle]:
    """Return where the feed's bundle is put.

    Args:
        services: whose bundle is replaced.
        load: version -> verified bundle.
        warm: this process makes pages, the first of which shall be as fast as the others.
    """
    catalogue = services.stores.catalogue

    def stage(version: str) -> ServedBundle:
        with yielding():
            bundle = load(version)
            # As much rest as work: what is served has a core to itself half of the time.
            bundle.items.carry_over(services.bundle.items, rest=time.sleep)
            bundle.items.catch_up(catalogue, rest=time.sleep)
            if warm:
                warm_up(bundle, services)
        return bundle

    def swap(bundle: ServedBundle) -> None:
        services.bundle = bundle
        services.metrics.bundle.clear()
        services.metrics.bundle.labels(bundle.version).set(1)
        loop = asyncio.get_running_loop()
        loop.call_later(RELEASE_S, loop.run_in_executor, None, return_memory)

    return Seat(lambda: services.bundle, stage, swap)


def moderation_seat(
    services: Services, desk: ModerationDesk, load: Callable[[str], Moderator]
) -> Seat[ModerationDesk]:
    """Return where the bundle of moderation is put.

    Args:
        services: whose desk is replaced. desk: the first one.
        load: version -> moderator by a verified bundle.
    """

    def swap(staged: ModerationDesk) -> None:
        services.moderation = staged

    return Seat(
        lambda: services.moderation or desk,
        lambda version: desk.judging_by(load(version)),
        swap,
    )


def return_memory() -> None:
    """Give the system back what a released bundle held.

    The allocators keep the room between what is in use: without this a replica grows by some
    20 MB a swap of 100,000 items, up to half of its size; 40 MB of that are Arrow's.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
    if trim is not None:
        trim(0)


@contextmanager
def yielding() -> Iterator[None]:
    """Let other threads have the interpreter fifty times as often as usual.

    Each time a request comes back from the index or a tower, it waits so long for this thread.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(usual_s / 50)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)


def warm_up(bundle: ServedBundle, services: Services) -> None:
    """Ask for pages of people who like items from all over the catalogue.

    The first pages of a bundle fault its files into memory; no user should wait for that.
    """
    names, rules = bundle.engine.model.vocabulary, services.rules(None).unhurried
    for n in range(WARM_UP_PAGES):
        row = n * len(names) // WARM_UP_PAGES
        recent = (Behaviour(names.item_id(row), "like", 0),)
        page = bundle.engine.feed(FeedRequest(k=20, now_ms=60_000, recent=recent), rules)
        time.sleep(sum(page.stage_ms.values()) / 1000)


@dataclass(frozen=True)
class SwapLimits:
    """Where bundles are, and how long replicas may take to stage one."""

    root: Path
    staging_limit_s: float


def connect(
    services: Services, kind: BundleKind, board: Board, seat: Seat[Loaded], limits: SwapLimits
) -> None:
    """Let a process follow the pointer of a kind, and operators flip it.

    Args:
        services: of the process; gets background tasks and an activator.
        kind: of bundle. board: of this kind, shared by all replicas.
        seat: where its bundle is put.
        limits: of staging.
    """
    pointers = CopiedPointers(services.stores.bundles, limits.root)
    seat = replace(seat, turn=lambda: in_turn(limits.root / kind))
    follower = Follower(replica_name(), kind, board, pointers, seat)
    activator = Activator(limits.root, kind, board, pointers, limits.staging_limit_s)
    services.activators[kind] = activator
    services.background += [follower.run, lambda: follow_published(activator, pointers)]


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Wait until no other process of this machine stages: the others answer undisturbed.

    Args:
        folder: of the kind, by whose lock the processes take turns.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: all at once
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def adopt_published(stores: Stores, root: Path) -> None:
    """Let the pointers name what was published while nobody served.

    Raises:
        RecordsError: the pointer cannot be read or flipped.
    """
    pointers = CopiedPointers(stores.bundles, root)
    for kind in KINDS:
        version = pointers.published(kind)
        if version is not None:
            pointers.activate(PUBLISHER, kind, version, None)


def replica_name() -> str:
    """Tells this process from every other that serves."""
    return f"{socket.gethostname()}-{os.getpid()}"
