# ruff: noqa: D102  (the protocols hold the docstrings)
"""The protocols of ``moderation`` on one database."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.clock import now_ms
from serving.moderation.certificates import Certificate, Judge
from serving.records import audits, banks, checks, jobs
from serving.records import certificates as certificates_table
from serving.records.database import Records
from serving.records.moderation import (
    Audit,
    Backlog,
    BankEntry,
    Check,
    Claim,
    Job,
    JobRow,
    ModerationRecords,
    NewJob,
    Settled,
)


@dataclass(frozen=True)
class SqlChecks:
    """``moderation.Checks``."""

    records: Records

    def claim(self, actor: str, count: int, lease_ms: int) -> list[Claim]:
        if not self.records.read(checks.is_due, now_ms()):
            return []  # looking must not make writers wait
        return self.records.write(actor, checks.claim, count, lease_ms)

    def renew(self, actor: str, claims: Sequence[Claim], lease_ms: int) -> None:
        self.records.write(actor, checks.renew, claims, lease_ms)

    def settle(self, actor: str, settled: Settled) -> bool:
        return self.records.write(actor, checks.settle, settled)

    def postpone(self, actor: str, claim: Claim, fault: str, delay_ms: int) -> None:
        self.records.write(actor, checks.postpone, claim, fault, delay_ms)

    def again(self, actor: str, item_ids: Sequence[str]) -> int:
        return self.records.write(actor, checks.again, item_ids)

    def backlog(self) -> Backlog:
        return self.records.read(checks.backlog)

    def get(self, item_id: str) -> Check | None:
        return self.records.read(checks.get, item_id)


@dataclass(frozen=True)
class SqlAudits:
    """``moderation.Audits``."""

    records: Records

    def waiting(self, limit: int) -> list[Audit]:
        return self.records.read(audits.waiting, limit)

    def answer(self, actor: str, audit_id: str, violations: Sequence[str]) -> Audit:
        return self.records.write(actor, audits.answer, audit_id, violations)

    def answered(self, judge: Judge) -> list[Audit]:
        return self.records.read(audits.answered, judge)


@dataclass(frozen=True)
class SqlCertificates:
    """``moderation.Certificates``."""

    records: Records

    def issue(self, actor: str, certificates: Sequence[Certificate]) -> list[Certificate]:
        return self.records.write(actor, certificates_table.issue, certificates)

    def revoke(self, actor: str, certificate_id: str, because: str) -> Certificate:
        return self.records.write(actor, certificates_table.revoke, certificate_id, because)

    def listed(self) -> list[Certificate]:
        return self.records.read(certificates_table.listed)


@dataclass(frozen=True)
class SqlBanks:
    """``moderation.BankEntries``."""

    records: Records

    def add(self, actor: str, entry: BankEntry) -> BankEntry:
        return self.records.write(actor, banks.add, entry)

    def remove(self, actor: str, bank: str, entry_id: str) -> None:
        self.records.write(actor, banks.remove, bank, entry_id)

    def changes(self, after: int, limit: int) -> list[BankEntry]:
        return self.records.read(banks.changes, after, limit)

    def listed(self, bank: str | None, limit: int) -> list[BankEntry]:
        return self.records.read(banks.listed, bank, limit)


@dataclass(frozen=True)
class SqlJobs:
    """``moderation.Jobs``."""

    records: Records

    def create(self, actor: str, new: NewJob) -> Job:
        return self.records.write(actor, jobs.create, new)

    def claim(self, actor: str, lease_ms: int) -> Job | None:
        if not self.records.read(jobs.is_due, now_ms()):
            return None  # looking must not make writers wait
        return self.records.write(actor, jobs.claim, lease_ms)

    def advance(
        self, actor: str, job_id: str, results: Sequence[JobRow], place: int, done: int
    ) -> None:
        self.records.write(actor, jobs.advance, job_id, results, place, done)

    def finish(self, actor: str, job_id: str, deliver: bool) -> None:
        self.records.write(actor, jobs.finish, job_id, deliver)

    def delivered(self, actor: str, job_id: str, delivery: str, delay_ms: int) -> None:
        self.records.write(actor, jobs.delivered, job_id, delivery, delay_ms)

    def get(self, job_id: str) -> Job:
        return self.records.read(jobs.get, job_id)

    def rows(self, job_id: str, after: int, limit: int) -> list[JobRow]:
        return self.records.read(jobs.rows, job_id, after, limit)


def moderation_records(records: Records) -> ModerationRecords:
    """Every protocol of moderation over one database."""
    return ModerationRecords(
        SqlChecks(records),
        SqlAudits(records),
        SqlCertificates(records),
        SqlBanks(records),
        SqlJobs(records),
    )
