"""The audit trail: an HMAC chain whose key and newest head live outside the database.

Each row's code covers the row and the code before it (Bellare & Yee, Forward integrity, 1997, in
its simplest form): without the key no row can be changed, removed or moved unseen, and with the
head kept elsewhere none can be cut off up to that head.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from serving.records.contracts import AuditRow, Head
from serving.records.database import Transaction, next_sequence
from serving.records.tables import audit

GENESIS = "0" * 64


def mac_of(key: bytes, row: AuditRow, previous: str) -> str:
    """Code of a row [64 hex digits] that follows a row with code `previous`."""
    fields = (row.sequence, row.at_ms, row.actor, row.action, row.subject, row.detail)
    message = json.dumps([previous, *fields], ensure_ascii=True).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def append(unit: Transaction, action: str, subject: str, detail: Mapping[str, Any]) -> AuditRow:
    """Add one row within the transaction that does the act."""
    sequence = next_sequence(unit.connection, "audit")  # its lock makes the chain one line
    before = select(audit.c.mac).where(audit.c.sequence == sequence - 1)
    previous = unit.connection.execute(before).scalar() or GENESIS
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False)
    bare = AuditRow(sequence, unit.now_ms, unit.actor, action, subject, text, "")
    row = AuditRow(**{**asdict(bare), "mac": mac_of(unit.secrets.audit, bare, previous)})
    unit.connection.execute(insert(audit).values(**asdict(row)))
    return row


def rows(connection: Connection, after: int = 0, limit: int | None = None) -> Iterator[AuditRow]:
    """Audit rows past a sequence number, oldest first."""
    query = select(audit).where(audit.c.sequence > after).order_by(audit.c.sequence).limit(limit)
    for found in connection.execute(query).mappings():
        yield AuditRow(**found)


def newest_head(connection: Connection) -> Head | None:
    """Head of the chain as the database has it."""
    query = select(audit.c.sequence, audit.c.mac).order_by(audit.c.sequence.desc()).limit(1)
    found = connection.execute(query).first()
    return None if found is None else Head(found.sequence, found.mac)


def verify(chain: Iterable[AuditRow], heads: Iterable[Head], key: bytes) -> list[str]:
    """What is wrong with the chain, in words; empty when nothing is.

    Finds a changed, removed, inserted or moved row anywhere, and rows cut off the end up to the
    newest of `heads`. Rows cut off after the newest head cannot be known.
    """
    expected = {head.sequence: head.mac for head in heads}
    faults: list[str] = []
    previous, last = GENESIS, 0
    for row in chain:
        if row.sequence != last + 1:
            faults.append(f"row {last + 1}: missing, row {row.sequence} stands in its place")
        if not hmac.compare_digest(mac_of(key, row, previous), row.mac):
            faults.append(f"row {row.sequence}: its code does not fit its content and predecessor")
        if expected.pop(row.sequence, row.mac) != row.mac:
            faults.append(f"row {row.sequence}: differs from the head written outside")
        previous, last = row.mac, row.sequence
    missing = sorted(expected)
    return faults + [f"row {sequence}: missing, a head names it" for sequence in missing]


def write_head(path: Path, head: Head) -> None:
    """Append a head to the file outside the database, durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(head)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_heads(path: Path) -> list[Head]:
    """Heads written so far, oldest first.

    Raises:
        ValueError: a line is not a head; a last line cut short by a crash is left out.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    try:
        return [Head(**json.loads(line)) for line in whole]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not a file of audit heads: {error}") from error
