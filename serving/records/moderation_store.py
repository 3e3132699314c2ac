# ruff: noqa: D102  (the protocols hold the docstrings)
"""The protocols of ``moderation`` on one database."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.records import checks
from serving.records.database import Records, now_ms
from serving.records.moderation import Backlog, Check, Claim, ModerationRecords, Settled


@dataclass(frozen=True)
class SqlChecks:
    """``moderation.Checks``."""

    records: Records

    def claim(self, actor: str, count: int, lease_ms: int) -> list[Claim]:
        if not self.records.read(checks.is_due, now_ms()):
            return []  # looking must not make writers wait
        return self.records.write(actor, checks.claim, count, lease_ms)

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


def moderation_records(records: Records) -> ModerationRecords:
    """Every protocol of moderation over one database."""
    return ModerationRecords(SqlChecks(records))
