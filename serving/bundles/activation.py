"""Making a bundle serve, in two phases: every live replica stages it, then the pointer flips."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.bundle import Manifest, published
from serving.bundles.board import Board, Proposal, Report
from serving.records.contracts import BundleKind, Bundles, Pointer

POLL_S = 0.1
SPARE_S = 5.0  # a proposal outlives its activation by so much at most


class NotActivatedError(Exception):
    """The pointer stays where it was; `faults` gives the replicas that say why."""

    def __init__(self, message: str, faults: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.faults = dict(faults or {})

    def __str__(self) -> str:
        return "; ".join([super().__str__(), *(f"{n}: {why}" for n, why in self.faults.items())])


class ActivationBusyError(NotActivatedError):
    """Another activation is going on."""


@dataclass(frozen=True)
class Activator:
    """Flips the pointer of one kind.

    Attributes:
        root: folder of published bundles.
        limit_s: how long replicas may take to stage.
    """

    root: Path
    kind: BundleKind
    board: Board
    pointers: Bundles
    limit_s: float

    def published(self) -> list[Manifest]:
        """Manifests of all bundles that could serve, newest first.

        Raises:
            BundleError: one of them cannot be read; names the file.
        """
        return published(self.root, self.kind)

    async def activate(self, actor: str, version: str) -> Pointer:
        """Let every live replica stage `version`, then point to it.

        Raises:
            NotActivatedError: a replica failed or took too long.
            ActivationBusyError: another activation is going on.
            StateUnreachableError: the replicas cannot be asked.
            RecordsError: the pointer cannot be flipped, or was meanwhile.
        """
        before = await asyncio.to_thread(self.pointers.current, self.kind)
        proposal = Proposal(uuid.uuid4().hex, version)
        if not await self.board.propose(proposal, self.limit_s + SPARE_S):
            raise ActivationBusyError("another activation is going on")
        try:
            await self._acknowledged(proposal)
            expected = 0 if before is None else before.sequence
            return await asyncio.to_thread(
                self.pointers.activate, actor, self.kind, version, expected
            )
        finally:
            await self.board.withdraw()

    async def _acknowledged(self, proposal: Proposal) -> None:
        deadline = time.monotonic() + self.limit_s
        while True:
            reports = await self.board.reports()
            if faults := faults_of(reports, proposal):
                raise NotActivatedError(f"{len(faults)} replicas cannot stage it", faults)
            waiting = waiting_of(reports, proposal)
            if reports and not waiting:
                return
            if time.monotonic() > deadline:
                late = dict.fromkeys(waiting, f"not staged within {self.limit_s:g} s")
                raise NotActivatedError(f"{len(late)} of {len(reports)} replicas are late", late)
            await asyncio.sleep(POLL_S)


def faults_of(reports: Mapping[str, Report], proposal: Proposal) -> dict[str, str]:
    """Replicas that failed to stage this proposal, and why."""
    return {
        name: report.fault or "unknown"
        for name, report in sorted(reports.items())
        if report.failed == proposal.ticket
    }


def waiting_of(reports: Mapping[str, Report], proposal: Proposal) -> list[str]:
    """Replicas that have not acknowledged the proposal."""
    return sorted(name for name, report in reports.items() if report.ready != proposal.ticket)
