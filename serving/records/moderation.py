"""What the records promise to moderation; no database is named here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from configs.labels import Action
from serving.records.status import Scope, Status


@dataclass(frozen=True)
class Claim:
    """One version of an item that this process may judge until its claim ends.

    Attributes:
        attempts: with this one.
        queued_at_ms: since when the version waits.
    """

    item_id: str
    content_version: int
    attempts: int
    queued_at_ms: int


@dataclass(frozen=True)
class Settled:
    """What the machine made of one version of an item.

    Attributes:
        outcomes: scopes with what their viewers get; a later one overrules an earlier one.
        verdict: as the native API tells it.
        fault: why the machine could not judge; None where it could.
    """

    item_id: str
    content_version: int
    suggestion: Action
    outcomes: Sequence[tuple[Scope, Status]]
    verdict: Mapping[str, Any] | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Check:
    """Where the check of an item's current version stands; `verdict` is None while it waits."""

    item_id: str
    content_version: int
    state: str
    attempts: int
    fault: str | None
    suggestion: Action | None
    verdict: Mapping[str, Any] | None
    checked_at_ms: int | None


@dataclass(frozen=True)
class Backlog:
    """Versions that wait for a check, and since when the oldest of the new ones does."""

    waiting: int
    background: int
    oldest_ms: int | None


class Checks(Protocol):
    """Which versions still need a check: filled by the change itself, in its own transaction."""

    def claim(self, actor: str, count: int, lease_ms: int) -> list[Claim]:
        """Versions that are due, new ones first; another claim gets none of them before the end."""

    def settle(self, actor: str, settled: Settled) -> bool:
        """Apply a verdict; false, and nothing done, if the item has another version by now."""

    def postpone(self, actor: str, claim: Claim, fault: str, delay_ms: int) -> None:
        """Try a version again after a while."""

    def again(self, actor: str, item_ids: Sequence[str]) -> int:
        """Check the current versions of items once more, behind the new ones; how many."""

    def backlog(self) -> Backlog:
        """What waits."""

    def get(self, item_id: str) -> Check | None:
        """The check of one item; None where it is in no catalogue."""


@dataclass(frozen=True)
class ModerationRecords:
    """All records of moderation."""

    checks: Checks
