"""Banks of known content: entries in one change feed; a removed one stays as a trace."""

import secrets
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from serving.records import audit
from serving.records.database import Transaction, next_sequence
from serving.records.errors import NotFound
from serving.records.moderation import BankEntry
from serving.records.tables import bank_entries


def add(unit: Transaction, entry: BankEntry) -> BankEntry:
    """Add an entry; its id, sequence and time are given here."""
    kept = replace(
        entry,
        entry_id=f"bank-{secrets.token_hex(8)}",
        sequence=next_sequence(unit.connection, "banks"),
        created_at_ms=unit.now_ms,
    )
    values = vars(kept) | {"fingerprint": dict(kept.fingerprint)}
    unit.connection.execute(insert(bank_entries).values(**values))
    detail = {"label": kept.label, "action": kept.action, "note": kept.note}
    audit.append(unit, "bank.add", _subject(kept.bank, kept.entry_id), detail)
    return kept


def remove(unit: Transaction, bank: str, entry_id: str) -> None:
    """Take one out.

    Raises:
        NotFound: the bank has no such entry.
    """
    same = (
        (bank_entries.c.entry_id == entry_id)
        & (bank_entries.c.bank == bank)
        & bank_entries.c.removed_at_ms.is_(None)
    )
    sequence = next_sequence(unit.connection, "banks")
    values = {"removed_at_ms": unit.now_ms, "sequence": sequence}
    if unit.connection.execute(update(bank_entries).where(same).values(**values)).rowcount == 0:
        raise NotFound(f"bank {bank}: has no entry {entry_id}")
    audit.append(unit, "bank.remove", _subject(bank, entry_id), {})


def changes(connection: Connection, after: int, limit: int) -> list[BankEntry]:
    """Entries added or removed past a sequence number, oldest change first."""
    query = select(bank_entries).where(bank_entries.c.sequence > after)
    ordered = query.order_by(bank_entries.c.sequence).limit(limit)
    return [_entry(row) for row in connection.execute(ordered)]


def listed(connection: Connection, bank: str | None, limit: int) -> list[BankEntry]:
    """Entries in force, newest first."""
    query = select(bank_entries).where(bank_entries.c.removed_at_ms.is_(None))
    if bank is not None:
        query = query.where(bank_entries.c.bank == bank)
    ordered = query.order_by(bank_entries.c.sequence.desc()).limit(limit)
    return [_entry(row) for row in connection.execute(ordered)]


def _subject(bank: str, entry_id: str) -> str:
    return f"bank:{bank}/{entry_id}"


def _entry(row: Any) -> BankEntry:
    return BankEntry(**row._mapping)
