"""What the records promise to the rest of the server; no database is named here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from serving.feed.controls import Control
from serving.records.access import ApiKey
from serving.records.access import Scope as AccessScope
from serving.records.items import Item
from serving.records.moderation import ModerationRecords
from serving.records.profiles import User
from serving.records.status import EVERYONE, Publish, Scope, Status, StatusRow

Outcome = Literal["created", "changed", "unchanged"]
BundleKind = Literal["feed", "moderation"]
ModelState = Literal["pending", "done"]


@dataclass(frozen=True)
class Stored:
    """An item as the catalogue holds it.

    Attributes:
        item: what its owner described.
        content_version: from 1; a change of text, media, price or regions makes the next one.
        sequence: its place in the catalogue's change feed.
        deleted: a tombstone.
        statuses: its visibility rows.
    """

    item: Item
    content_version: int
    sequence: int
    deleted: bool
    statuses: tuple[StatusRow, ...]


@dataclass(frozen=True)
class Upserted:
    """What became of one row of a bulk upsert."""

    item_id: str
    outcome: Outcome
    content_version: int


@dataclass(frozen=True)
class Price:
    """A price from a moment on."""

    content_version: int
    price: float | None
    list_price: float | None
    currency: str | None
    at_ms: int


@dataclass(frozen=True)
class Verdict:
    """What an automatic check found in one version of an item, for the viewers of one scope."""

    item_id: str
    content_version: int
    status: Status
    scope: Scope = EVERYONE


@dataclass(frozen=True)
class Pointer:
    """The bundle of a kind that serves from `sequence` on."""

    sequence: int
    kind: BundleKind
    version: str
    at_ms: int


@dataclass(frozen=True)
class NewKey:
    """What a new key may do.

    Attributes:
        rate_per_s: requests a second in the long run.
        burst: requests at once.
        lifetime_ms: None for no end.
    """

    principal: str
    scopes: Sequence[AccessScope]
    rate_per_s: float = 100.0
    burst: float = 200.0
    lifetime_ms: int | None = None


@dataclass(frozen=True)
class AuditRow:
    """One act: who did what to which subject, and the code that chains it to the row before."""

    sequence: int
    at_ms: int
    actor: str
    action: str
    subject: str
    detail: str
    mac: str


@dataclass(frozen=True)
class Head:
    """The newest row at some moment, kept outside the database."""

    sequence: int
    mac: str


@dataclass(frozen=True)
class Receipt:
    """Proof of one erasure, and how far it has come.

    Attributes:
        subject_mac: keyed hash of the user id; the id itself is nowhere kept.
        stores: for each place looked at so far, how many records went.
        erased_at_ms: from then on no store held anything of the user; None while under way.
        model: "pending" until no bundle trained with the user is left.
    """

    receipt_id: str
    subject_mac: str
    requested_at_ms: int
    stores: Mapping[str, int]
    erased_at_ms: int | None
    model: ModelState


@dataclass(frozen=True)
class Leaving:
    """An erasure under way; `user_id` is None when only traces in free pages can be left."""

    receipt_id: str
    user_id: str | None


class Catalogue(Protocol):
    """Items, their versions, prices and media."""

    def upsert(
        self, actor: str, rows: Sequence[Mapping[str, Any]], publish: Publish
    ) -> list[Upserted]:
        """Store items, all or nothing. Raises: BadRows."""

    def patch(
        self, actor: str, item_id: str, changes: Mapping[str, Any], publish: Publish
    ) -> Upserted:
        """Change fields of one item. Raises: NotFound, BadRows."""

    def remove(self, actor: str, item_id: str) -> None:
        """Delete one item. Raises: NotFound."""

    def get(self, item_id: str) -> Stored:
        """One item. Raises: NotFound."""

    def price_history(self, item_id: str) -> list[Price]:
        """Prices, oldest first."""

    def changes(self, after: int, limit: int) -> list[Stored]:
        """Items and tombstones past a sequence number, oldest change first."""

    def add_media(self, actor: str, sha256: str, mime: str, size: int) -> bool:
        """Record an uploaded file; false if known. Raises: Conflict."""


class Visibility(Protocol):
    """Who may see what: one sequenced row a subject and scope."""

    def decide(
        self, actor: str, item_id: str, status: Status, scope: Scope, reason: str
    ) -> StatusRow:
        """A person's decision; a takedown is one."""

    def apply_verdict(self, actor: str, verdict: Verdict) -> StatusRow | None:
        """An automatic verdict; None if it judged another version. Raises: NotFound."""

    def set_suspended(self, actor: str, creator_id: str, suspended: bool, reason: str) -> StatusRow:
        """Suspend a creator, or lift it."""

    def changes(self, after: int, limit: int) -> list[StatusRow]:
        """Rows past a sequence number, oldest first."""

    def newest_sequence(self) -> int:
        """Number of the newest row; 0 when there is none."""

    def rows_of_subjects(self, subjects: Sequence[str]) -> dict[str, list[StatusRow]]:
        """All rows of several subjects; those without rows are absent."""

    def unsettled(self) -> list[tuple[int, str]]:
        """Takedowns (sequence, subject) that the state has not confirmed."""

    def settle(self, actor: str, sequence: int) -> int:
        """Forget takedowns that the state holds."""


@dataclass(frozen=True)
class UserChanges:
    """Whose record changed.

    Attributes:
        sequence: up to which acts were looked at; where the next look begins.
        subjects: keyed hashes of ids.
    """

    sequence: int
    subjects: frozenset[str]


class Users(Protocol):
    """What is recorded of people."""

    def put(self, actor: str, row: Mapping[str, Any]) -> User:
        """Store or correct one user. Raises: BadRows, Conflict when erased."""

    def get(self, user_id: str) -> User:
        """One user. Raises: NotFound."""

    def subject(self, user_id: str) -> str:
        """Keyed hash of a user's id, as `changed` names them."""

    def changed(self, after: int | None) -> UserChanges:
        """Whose record changed after a number; of nobody if it is None."""


class Erasures(Protocol):
    """Who left, who is leaving, and the proof of it."""

    def request(self, actor: str, user_id: str) -> Receipt:
        """Bar a user for good and ask for the removal of everything kept of them."""

    def pending(self) -> list[Leaving]:
        """Erasures under way, oldest first."""

    def note(self, actor: str, receipt_id: str, found: Mapping[str, int]) -> None:
        """Keep what was found, by store; the larger number wins."""

    def forget(self, actor: str, leaving: Leaving) -> None:
        """Remove the user from the records, and the name from the receipt."""

    def close(self, actor: str, receipt_id: str) -> Receipt:
        """Leave no trace in the database's files, then say that all is done."""

    def receipt_of(self, receipt_id: str) -> Receipt:
        """One receipt. Raises: NotFound."""

    def erased_subjects(self) -> frozenset[str]:
        """Keyed hashes of everyone who left or is leaving: the do-not-train list."""

    def subject_count(self) -> int:
        """Length of that list."""

    def finish(self, actor: str, trained_after_ms: int) -> int:
        """Mark receipts whose user no remaining bundle has seen; return how many."""


class Keys(Protocol):
    """API keys."""

    def create(self, actor: str, new: NewKey) -> str:
        """Store a key and return its text, shown once. Raises: BadRows."""

    def revoke(self, actor: str, key_id: str) -> None:
        """End a key. Raises: NotFound."""

    def listed(self) -> list[ApiKey]:
        """All keys, oldest first."""

    def find(self, text: str) -> ApiKey | None:
        """The key with this text."""


class Bundles(Protocol):
    """Which bundle serves."""

    def activate(self, actor: str, kind: BundleKind, version: str, expected: int | None) -> Pointer:
        """Point a kind at a version. Raises: Conflict."""

    def current(self, kind: BundleKind) -> Pointer | None:
        """The pointer of a kind."""

    def history(self, kind: BundleKind, limit: int) -> list[Pointer]:
        """Pointers, newest first."""


class Controls(Protocol):
    """What operators have laid upon the feed."""

    def put(self, actor: str, control: Control, reason: str) -> int:
        """Lay a control upon the feed; return the number of the change."""

    def lift(self, actor: str, control: Control, reason: str) -> int:
        """Take a control off the feed; return the number of the change. Raises: NotFound."""

    def listed(self) -> tuple[int, list[Control]]:
        """Number of the newest change, and all controls, oldest first."""

    def newest(self) -> int:
        """Number of the newest change."""


class AuditTrail(Protocol):
    """The chain of acts."""

    def rows(self, after: int, limit: int) -> list[AuditRow]:
        """Rows past a sequence number, oldest first."""

    def newest_head(self) -> Head | None:
        """The newest row's place and code."""


@dataclass(frozen=True)
class Stores:
    """All records of one database.

    Attributes:
        close: finishes what is queued and lets go of the database.
    """

    catalogue: Catalogue
    visibility: Visibility
    users: Users
    erasures: Erasures
    keys: Keys
    bundles: Bundles
    controls: Controls
    trail: AuditTrail
    moderation: ModerationRecords
    close: Callable[[], None]
