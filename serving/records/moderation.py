"""What the records promise to moderation; no database is named here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from configs.labels import Action
from serving.moderation.certificates import Certificate, Judge
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
class Draw:
    """A decision that is audited with probability `share`, by a secret that nobody can guess.

    Attributes:
        margin: of its pass. scores: of enforced labels.
    """

    region: str
    model: str
    policy: str
    margin: float
    scores: Mapping[str, float]
    share: float


@dataclass(frozen=True)
class Settled:
    """What the machine made of one version of an item.

    Attributes:
        outcomes: scopes with what their viewers get; a later one overrules an earlier one.
        verdict: as the native API tells it.
        fault: why the machine could not judge; None where it could.
        draws: of its decisions, one for each region where the machine decided.
    """

    item_id: str
    content_version: int
    suggestion: Action
    outcomes: Sequence[tuple[Scope, Status]]
    verdict: Mapping[str, Any] | None = None
    fault: str | None = None
    draws: Sequence[Draw] = ()


@dataclass(frozen=True)
class Audit:
    """A decision that people look at again; `violations` is None until they have."""

    audit_id: str
    item_id: str
    content_version: int
    region: str
    model: str
    policy: str
    margin: float
    scores: Mapping[str, float]
    drawn_at_ms: int
    answered_at_ms: int | None
    violations: Sequence[str] | None


@dataclass(frozen=True)
class BankEntry:
    """Known content.

    Attributes:
        fingerprint: {"sha256"} of an uploaded picture, or {"text"}.
        label: what a copy violates. action: what it leads to.
        sequence: place in the change feed of all banks.
    """

    entry_id: str
    bank: str
    kind: Literal["picture", "text"]
    fingerprint: Mapping[str, str]
    label: str
    action: Action
    note: str
    sequence: int
    created_at_ms: int
    removed_at_ms: int | None


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


class Audits(Protocol):
    """Decisions drawn for people to answer."""

    def waiting(self, limit: int) -> list[Audit]:
        """Those not answered, oldest first."""

    def answer(self, actor: str, audit_id: str, violations: Sequence[str]) -> Audit:
        """Keep what a person found. Raises: NotFound, Conflict when answered."""

    def answered(self, judge: Judge) -> list[Audit]:
        """All that were answered of one judge, in the order of drawing."""


class Certificates(Protocol):
    """Bounds on the machine's errors; issued, revoked, never changed."""

    def issue(self, actor: str, certificates: Sequence[Certificate]) -> list[Certificate]:
        """Keep certificates; those in force for the same judge, side and label are revoked."""

    def revoke(self, actor: str, certificate_id: str, because: str) -> Certificate:
        """End one. Raises: NotFound, Conflict when revoked."""

    def listed(self) -> list[Certificate]:
        """All, newest first."""


class BankEntries(Protocol):
    """Known content."""

    def add(self, actor: str, entry: BankEntry) -> BankEntry:
        """Add an entry; its id, sequence and time are given here."""

    def remove(self, actor: str, bank: str, entry_id: str) -> None:
        """Take one out. Raises: NotFound."""

    def changes(self, after: int, limit: int) -> list[BankEntry]:
        """Entries added or removed past a sequence number, oldest change first."""

    def listed(self, bank: str | None, limit: int) -> list[BankEntry]:
        """Entries in force, newest first."""


@dataclass(frozen=True)
class ModerationRecords:
    """All records of moderation."""

    checks: Checks
    audits: Audits
    certificates: Certificates
    banks: BankEntries
