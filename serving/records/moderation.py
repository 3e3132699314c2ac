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

    def renew(self, actor: str, claims: Sequence[Claim], lease_ms: int) -> None:
        """Hold claims until `lease_ms` from now; those that another has taken over stay theirs."""

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
class NewJob:
    """Work to be done behind requests.

    Attributes:
        asked: how; a webhook and its secret among it. rows: of a batch.
    """

    kind: Literal["batch", "scan"]
    asked: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Job:
    """A job and how far it has come.

    Attributes:
        place: of a batch the next row; of a scan the newest catalogue change that was looked at.
        delivery: of the webhook: none, waiting, delivered or gave_up.
    """

    job_id: str
    kind: Literal["batch", "scan"]
    principal: str
    state: Literal["running", "done"]
    asked: Mapping[str, Any]
    total: int
    done: int
    place: int
    due_at_ms: int
    created_at_ms: int
    ended_at_ms: int | None
    delivery: str
    attempts: int


@dataclass(frozen=True)
class JobRow:
    """One row of a job; `result` is None until it is done."""

    number: int
    content: Mapping[str, Any]
    result: Mapping[str, Any] | None


class Jobs(Protocol):
    """Work that outlives requests and processes."""

    def create(self, actor: str, new: NewJob) -> Job:
        """Keep a job; it begins within a second."""

    def claim(self, actor: str, lease_ms: int) -> Job | None:
        """The oldest that is due, for as long as the lease; None where nothing is."""

    def advance(
        self, actor: str, job_id: str, results: Sequence[JobRow], place: int, done: int
    ) -> None:
        """Keep results and how far the job has come."""

    def finish(self, actor: str, job_id: str, deliver: bool) -> None:
        """End a job."""

    def delivered(self, actor: str, job_id: str, delivery: str, delay_ms: int) -> None:
        """Keep what became of one attempt to tell its webhook."""

    def get(self, job_id: str) -> Job:
        """One job. Raises: NotFound."""

    def rows(self, job_id: str, after: int, limit: int) -> list[JobRow]:
        """Rows past a number, in order."""


@dataclass(frozen=True)
class ModerationRecords:
    """All records of moderation."""

    checks: Checks
    audits: Audits
    certificates: Certificates
    banks: BankEntries
    jobs: Jobs
