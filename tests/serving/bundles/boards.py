"""A board and pointers inside the test's process."""

from serving.bundles.board import Proposal, Report
from serving.live.state import StateUnreachableError
from serving.records.contracts import BundleKind, Pointer
from serving.records.errors import Conflict


class MemoryBoard:
    """See `Board`; `silent` lets nobody reach it."""

    def __init__(self) -> None:
        self.told: dict[str, Report] = {}
        self.proposal: Proposal | None = None
        self.silent = False

    async def report(self, replica: str, report: Report) -> Proposal | None:
        self._reach()
        self.told[replica] = report
        return self.proposal

    async def reports(self) -> dict[str, Report]:
        self._reach()
        return dict(self.told)

    async def propose(self, proposal: Proposal, limit_s: float) -> bool:
        self._reach()
        if self.proposal is not None:
            return False
        self.proposal = proposal
        return True

    async def withdraw(self) -> None:
        self.proposal = None

    def _reach(self) -> None:
        if self.silent:
            raise StateUnreachableError("silent")


class MemoryPointers:
    """See `Bundles`."""

    def __init__(self, version: str) -> None:
        self.rows = [Pointer(1, "feed", version, 1)]

    def activate(self, actor: str, kind: BundleKind, version: str, expected: int | None) -> Pointer:
        if expected not in (None, self.rows[0].sequence):
            raise Conflict("flipped meanwhile")
        sequence = self.rows[0].sequence + 1
        self.rows.insert(0, Pointer(sequence, kind, version, sequence))
        return self.rows[0]

    def current(self, kind: BundleKind) -> Pointer | None:
        return self.rows[0]

    def history(self, kind: BundleKind, limit: int) -> list[Pointer]:
        return self.rows[:limit]
