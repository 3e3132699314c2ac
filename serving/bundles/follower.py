"""A replica's side of hot swap: follow the pointer, stage what is proposed, swap one reference."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from models.bundle import BundleError
from serving.bundles.board import Board, Proposal, Report
from serving.live.state import StateUnreachableError
from serving.records.contracts import BundleKind, Bundles, Pointer
from serving.records.errors import RecordsError

log = logging.getLogger("tidegate.bundles")

POLL_S = 0.25


class Versioned(Protocol):
    """A loaded bundle."""

    @property
    def version(self) -> str:
        """The bundle's version."""


Loaded = TypeVar("Loaded", bound=Versioned)


class Target(NamedTuple):
    """A version that is wanted, and the cause: a proposal's ticket, or the pointer's number."""

    version: str
    cause: str


@dataclass(frozen=True)
class Seat(Generic[Loaded]):
    """Where a bundle is put to serve.

    Attributes:
        serving: the bundle that serves.
        stage: version -> the verified bundle, warm; called in a thread.
        swap: lets a bundle serve from the next request on.
        turn: entered to stage; waits in a thread while others do.
    """

    serving: Callable[[], Loaded]
    stage: Callable[[str], Loaded]
    swap: Callable[[Loaded], None]
    turn: Callable[[], AbstractContextManager[None]] = nullcontext


def targets_of(pointer: Pointer | None, proposal: Proposal | None) -> list[Target]:
    """Versions that a replica should have at hand, the more urgent first."""
    pointed = [] if pointer is None else [Target(pointer.version, f"pointer {pointer.sequence}")]
    return pointed + ([] if proposal is None else [Target(proposal.version, proposal.ticket)])


def next_target(targets: list[Target], report: Report) -> Target | None:
    """The first version that is neither at hand nor known to fail for the same cause."""
    at_hand = {report.serving, report.staged}
    missing = (target for target in targets if target.version not in at_hand)
    return next((target for target in missing if target.cause != report.failed), None)


def ready_for(proposal: Proposal | None, report: Report) -> str | None:
    """Ticket of the proposal if its version is at hand."""
    if proposal is None or proposal.version not in (report.serving, report.staged):
        return None
    return proposal.ticket


class Follower(Generic[Loaded]):
    """Keeps one replica's bundle of one kind where the pointer says."""

    def __init__(
        self, replica: str, kind: BundleKind, board: Board, pointers: Bundles, seat: Seat[Loaded]
    ) -> None:
        self._replica = replica
        self._kind = kind
        self._board = board
        self._pointers = pointers
        self._seat = seat
        self._staged: Loaded | None = None
        self._staging: asyncio.Task[Loaded] | None = None
        self._ready: str | None = None
        self._cause = ""
        self._failed: str | None = None
        self._fault: str | None = None
        self._staging_s: float | None = None

    @property
    def report(self) -> Report:
        """Where this replica stands."""
        staged = None if self._staged is None else self._staged.version
        serving = self._seat.serving().version
        return Report(serving, staged, self._ready, self._failed, self._fault, self._staging_s)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.step()
            except RecordsError as error:
                log.warning("%s pointer cannot be read: %s", self._kind, error)
            except Exception:  # without this loop the replica would never change its bundle again
                log.exception("the %s bundle is not followed", self._kind)
            await asyncio.sleep(POLL_S)

    async def step(self) -> None:
        """Report, read the proposal and then the pointer, and move on by at most one step.

        In this order: whoever sees the proposal gone sees the pointer that it led to.

        Raises:
            RecordsError: the pointer cannot be read; nothing changed.
        """
        self._collect()
        proposal = await self._told()
        pointer = await asyncio.to_thread(self._pointers.current, self._kind)
        targets = targets_of(pointer, proposal)
        if self._staged is not None:
            self._settle(self._staged, pointer, targets)
        self._ready = ready_for(proposal, self.report)
        target = next_target(targets, self.report)
        if target is not None and self._staging is None:
            self._cause = target.cause
            self._staging = asyncio.create_task(asyncio.to_thread(self._stage, target.version))

    def _stage(self, version: str) -> Loaded:
        with self._seat.turn():
            started_s = time.perf_counter()
            staged = self._seat.stage(version)
            self._staging_s = time.perf_counter() - started_s
        return staged

    async def _told(self) -> Proposal | None:
        try:
            return await self._board.report(self._replica, self.report)
        except StateUnreachableError:
            return None  # the pointer alone is followed

    def _settle(self, staged: Loaded, pointer: Pointer | None, targets: list[Target]) -> None:
        if pointer is not None and staged.version == pointer.version:
            self._seat.swap(staged)
            self._staged = self._failed = self._fault = None
            log.info("%s bundle %s serves", self._kind, staged.version)
        elif staged.version not in {target.version for target in targets}:
            self._staged = None

    def _collect(self) -> None:
        if self._staging is None or not self._staging.done():
            return
        staging, self._staging = self._staging, None
        try:
            self._staged = staging.result()
            self._failed = self._fault = None
        except Exception as error:  # whatever is wrong with it, what serves goes on serving
            self._failed, self._fault = self._cause, _words(error)
            log.error("%s bundle is not staged: %s", self._kind, self._fault)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, BundleError) else repr(error)
