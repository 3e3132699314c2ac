# ruff: noqa: D102  (the protocols hold the docstrings)
"""The protocols of ``contracts`` on one database: each method is one query or one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.feed.controls import Control
from serving.records import (
    api_keys,
    audit,
    bundles,
    catalogue,
    controls,
    erasure,
    users,
    visibility,
)
from serving.records.access import ApiKey
from serving.records.contracts import (
    AuditRow,
    BundleKind,
    Head,
    Leaving,
    NewKey,
    Pointer,
    Price,
    Receipt,
    Stored,
    Upserted,
    UserChanges,
    Verdict,
)
from serving.records.database import Records
from serving.records.profiles import User
from serving.records.secret_keys import pseudonym
from serving.records.status import Publish, Scope, Status, StatusRow


@dataclass(frozen=True)
class SqlCatalogue:
    """``contracts.Catalogue``."""

    records: Records

    def upsert(
        self, actor: str, rows: Sequence[Mapping[str, Any]], publish: Publish
    ) -> list[Upserted]:
        return self.records.write(actor, catalogue.upsert, rows, publish)

    def patch(
        self, actor: str, item_id: str, changes: Mapping[str, Any], publish: Publish
    ) -> Upserted:
        return self.records.write(actor, catalogue.patch, item_id, changes, publish)

    def remove(self, actor: str, item_id: str) -> None:
        self.records.write(actor, catalogue.remove, item_id)

    def get(self, item_id: str) -> Stored:
        return self.records.read(catalogue.get, item_id)

    def price_history(self, item_id: str) -> list[Price]:
        return self.records.read(catalogue.price_history, item_id)

    def changes(self, after: int, limit: int) -> list[Stored]:
        return self.records.read(catalogue.changes, after, limit)

    def add_media(self, actor: str, sha256: str, mime: str, size: int) -> bool:
        return self.records.write(actor, catalogue.add_media, sha256, mime, size)


@dataclass(frozen=True)
class SqlVisibility:
    """``contracts.Visibility``."""

    records: Records

    def decide(
        self, actor: str, item_id: str, status: Status, scope: Scope, reason: str
    ) -> StatusRow:
        return self.records.write(actor, visibility.decide, item_id, status, scope, reason)

    def apply_verdict(self, actor: str, verdict: Verdict) -> StatusRow | None:
        return self.records.write(actor, visibility.apply_verdict, verdict)

    def set_suspended(self, actor: str, creator_id: str, suspended: bool, reason: str) -> StatusRow:
        return self.records.write(actor, visibility.set_suspended, creator_id, suspended, reason)

    def changes(self, after: int, limit: int) -> list[StatusRow]:
        return self.records.read(visibility.changes, after, limit)

    def newest_sequence(self) -> int:
        return self.records.read(visibility.newest_sequence)

    def rows_of_subjects(self, subjects: Sequence[str]) -> dict[str, list[StatusRow]]:
        return self.records.read(visibility.rows_of_subjects, subjects)

    def unsettled(self) -> list[tuple[int, str]]:
        return self.records.read(visibility.unsettled)

    def settle(self, actor: str, sequence: int) -> int:
        return self.records.write(actor, visibility.settle, sequence)


@dataclass(frozen=True)
class SqlUsers:
    """``contracts.Users``."""

    records: Records

    def put(self, actor: str, row: Mapping[str, Any]) -> User:
        return self.records.write(actor, users.put, row)

    def get(self, user_id: str) -> User:
        return self.records.read(users.get, user_id)

    def subject(self, user_id: str) -> str:
        return pseudonym(self.records.secrets.subject, user_id)

    def changed(self, after: int | None) -> UserChanges:
        return self.records.read(users.changed, after)


@dataclass(frozen=True)
class SqlErasures:
    """``contracts.Erasures``."""

    records: Records

    def request(self, actor: str, user_id: str) -> Receipt:
        return self.records.write(actor, erasure.request, user_id)

    def pending(self) -> list[Leaving]:
        return self.records.read(erasure.pending)

    def note(self, actor: str, receipt_id: str, found: Mapping[str, int]) -> None:
        self.records.write(actor, erasure.note, receipt_id, found)

    def forget(self, actor: str, leaving: Leaving) -> None:
        self.records.write(actor, erasure.forget, leaving)

    def close(self, actor: str, receipt_id: str) -> Receipt:
        self.records.vacuum()
        return self.records.write(actor, erasure.close, receipt_id)

    def receipt_of(self, receipt_id: str) -> Receipt:
        return self.records.read(erasure.receipt_of, receipt_id)

    def erased_subjects(self) -> frozenset[str]:
        return self.records.read(erasure.erased_subjects)

    def subject_count(self) -> int:
        return self.records.read(erasure.subject_count)

    def finish(self, actor: str, trained_after_ms: int) -> int:
        if not self.records.read(erasure.awaiting_model):
            return 0  # asked often; a change would wait for its turn
        return self.records.write(actor, erasure.finish, trained_after_ms)


@dataclass(frozen=True)
class SqlKeys:
    """``contracts.Keys``."""

    records: Records

    def create(self, actor: str, new: NewKey) -> str:
        return self.records.write(actor, api_keys.create, new)

    def revoke(self, actor: str, key_id: str) -> None:
        self.records.write(actor, api_keys.revoke, key_id)

    def listed(self) -> list[ApiKey]:
        return self.records.read(api_keys.listed)

    def find(self, text: str) -> ApiKey | None:
        return self.records.read(api_keys.find, text)


@dataclass(frozen=True)
class SqlBundles:
    """``contracts.Bundles``."""

    records: Records

    def activate(self, actor: str, kind: BundleKind, version: str, expected: int | None) -> Pointer:
        return self.records.write(actor, bundles.activate, kind, version, expected)

    def current(self, kind: BundleKind) -> Pointer | None:
        return self.records.read(bundles.current, kind)

    def history(self, kind: BundleKind, limit: int) -> list[Pointer]:
        return self.records.read(bundles.history, kind, limit)


@dataclass(frozen=True)
class SqlControls:
    """``contracts.Controls``."""

    records: Records

    def put(self, actor: str, control: Control, reason: str) -> int:
        return self.records.write(actor, controls.put, control, reason)

    def lift(self, actor: str, control: Control, reason: str) -> int:
        return self.records.write(actor, controls.lift, control, reason)

    def listed(self) -> tuple[int, list[Control]]:
        return self.records.read(controls.listed)

    def newest(self) -> int:
        return self.records.read(controls.newest)


@dataclass(frozen=True)
class SqlAuditTrail:
    """``contracts.AuditTrail``."""

    records: Records

    def rows(self, after: int, limit: int) -> list[AuditRow]:
        return self.records.read(lambda connection: list(audit.rows(connection, after, limit)))

    def newest_head(self) -> Head | None:
        return self.records.read(audit.newest_head)
