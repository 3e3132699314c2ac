"""What replicas and operators tell each other about bundles of one kind."""

from dataclasses import dataclass
from typing import Protocol

HEARTBEAT_LIMIT_S = 5.0  # a replica that was silent for longer does not count


@dataclass(frozen=True)
class Proposal:
    """A version that every replica is asked to stage; `ticket` tells attempts apart."""

    ticket: str
    version: str


@dataclass(frozen=True)
class Report:
    """Where one replica stands.

    Attributes:
        serving: version that answers. staged: version that could, from one request to the next.
        ready: ticket of the proposal whose version is one of the two. Versions alone would not
            do: a report may be older than the proposal, and its replica about to swap.
        staging_s: how long the last staging that did not fail took, without the wait for a turn.
        failed: cause of the last staging that failed, a ticket or a pointer; `fault` says why.
    """

    serving: str
    staged: str | None = None
    ready: str | None = None
    failed: str | None = None
    fault: str | None = None
    staging_s: float | None = None


class Board(Protocol):
    """Reports and the one proposal of a kind."""

    async def report(self, replica: str, report: Report) -> Proposal | None:
        """Say where a replica stands, which keeps it alive, and return what is proposed.

        Raises:
            StateUnreachableError: nothing was told.
        """

    async def reports(self) -> dict[str, Report]:
        """Return the reports of all live replicas.

        Raises:
            StateUnreachableError: they cannot be read now.
        """

    async def propose(self, proposal: Proposal, limit_s: float) -> bool:
        """Propose a version for some time; false if another proposal stands.

        Raises:
            StateUnreachableError: whether it was proposed cannot be known.
        """

    async def withdraw(self) -> None:
        """End the proposal that stands.

        Raises:
            StateUnreachableError: it ends with its time.
        """
