"""Visibility: one sequenced row a subject and scope, committed together with its audit row."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from serving.records import audit
from serving.records.contracts import Verdict
from serving.records.database import Transaction, next_sequence
from serving.records.errors import NotFound
from serving.records.status import (
    EVERYONE,
    Scope,
    Status,
    StatusRow,
    creator_subject,
    item_subject,
)
from serving.records.tables import creators, items, outbox, visibility


def decide(unit: Transaction, item_id: str, status: Status, scope: Scope, reason: str) -> StatusRow:
    """A person's decision on an item: stands until a person changes it. A takedown is one.

    An item that the catalogue does not hold (it came with a bundle) can be decided on too.
    """
    version = current_version(unit.connection, item_id) or 0
    row = unnumbered(item_subject(item_id), scope, status, decided=True, version=version)
    (row,) = put_rows(unit, [row])
    audit.append(unit, "item.decide", row.subject, _detail(row) | {"reason": reason})
    return row


def apply_verdict(unit: Transaction, verdict: Verdict) -> StatusRow | None:
    """Apply an automatic verdict; None if it judged another version than the current one.

    Raises:
        NotFound: no such item.
    """
    version = current_version(unit.connection, verdict.item_id)
    if version is None:
        raise NotFound(f"item {verdict.item_id}: not in the catalogue")
    if version != verdict.content_version:
        return None
    subject = item_subject(verdict.item_id)
    row = unnumbered(subject, verdict.scope, verdict.status, decided=False, version=version)
    (row,) = put_rows(unit, [row])
    audit.append(unit, "item.verdict", subject, _detail(row))
    return row


def set_suspended(unit: Transaction, creator_id: str, suspended: bool, reason: str) -> StatusRow:
    """Suspend a creator, which hides all their items, or lift it."""
    values = {"suspended": suspended, "reason": reason, "changed_at_ms": unit.now_ms}
    changed = update(creators).where(creators.c.creator_id == creator_id).values(**values)
    if unit.connection.execute(changed).rowcount == 0:
        unit.connection.execute(insert(creators).values(creator_id=creator_id, **values))
    status: Status = "hidden" if suspended else "visible"
    row = unnumbered(creator_subject(creator_id), EVERYONE, status, decided=True, version=0)
    (row,) = put_rows(unit, [row])
    action = "creator.suspend" if suspended else "creator.lift"
    audit.append(unit, action, row.subject, {"reason": reason, "sequence": row.sequence})
    return row


def put_rows(unit: Transaction, rows: Sequence[StatusRow]) -> list[StatusRow]:
    """Write rows with the next sequence numbers; what hides also enters the outbox.

    Args:
        unit: the transaction.
        rows: of different subjects or scopes; their own sequence numbers are not looked at.
    """
    first = next_sequence(unit.connection, "visibility", len(rows))
    numbered = [replace(row, sequence=first + n) for n, row in enumerate(rows)]
    keys = [
        {
            "a_subject": row.subject,
            "a_region": row.scope.region,
            "a_audience": row.scope.audience,
            "a_decided": row.decided,
        }
        for row in numbered
    ]
    unit.connection.execute(_SAME_ROW, keys)
    unit.connection.execute(insert(visibility), [_values(row, unit.now_ms) for row in numbered])
    hidden = [
        {"sequence": row.sequence, "subject": row.subject, "at_ms": unit.now_ms}
        for row in numbered
        if row.status == "hidden"
    ]
    if hidden:
        unit.connection.execute(insert(outbox), hidden)
    return numbered


def unnumbered(
    subject: str, scope: Scope, status: Status, *, decided: bool, version: int
) -> StatusRow:
    """A row that `put_rows` will number."""
    return StatusRow(subject, scope, status, decided, version, 0)


def current_version(connection: Connection, item_id: str) -> int | None:
    """Content version of an item that stands in the catalogue."""
    there = (items.c.item_id == item_id) & items.c.deleted_at_ms.is_(None)
    return connection.execute(select(items.c.content_version).where(there)).scalar()


def rows_of(connection: Connection, subject: str) -> list[StatusRow]:
    """All rows of one subject, oldest first."""
    query = select(visibility).where(visibility.c.subject == subject)
    return [_row(found) for found in connection.execute(query.order_by(visibility.c.sequence))]


def rows_of_subjects(connection: Connection, subjects: Iterable[str]) -> dict[str, list[StatusRow]]:
    """All rows of several subjects; those without rows are absent."""
    query = select(visibility).where(visibility.c.subject.in_(list(subjects)))
    found: dict[str, list[StatusRow]] = {}
    for row in map(_row, connection.execute(query)):
        found.setdefault(row.subject, []).append(row)
    return found


def changes(connection: Connection, after: int, limit: int) -> list[StatusRow]:
    """Rows with a sequence number past `after`, oldest first: the change feed.

    A row that changed again since stands at its newest number only.
    """
    query = select(visibility).where(visibility.c.sequence > after)
    ordered = query.order_by(visibility.c.sequence).limit(limit)
    return [_row(found) for found in connection.execute(ordered)]


def newest_sequence(connection: Connection) -> int:
    """Number of the newest visibility row; 0 when there is none."""
    return connection.execute(select(func.max(visibility.c.sequence))).scalar() or 0


def unsettled(connection: Connection) -> list[tuple[int, str]]:
    """Takedowns (sequence, subject) that the state has not confirmed, oldest first."""
    query = select(outbox.c.sequence, outbox.c.subject).order_by(outbox.c.sequence)
    return [(row.sequence, row.subject) for row in connection.execute(query)]


def settle(unit: Transaction, sequence: int) -> int:
    """Forget takedowns up to a sequence number that the state holds; return how many."""
    done = delete(outbox).where(outbox.c.sequence <= sequence)
    return unit.connection.execute(done).rowcount


_SAME_ROW = delete(visibility).where(
    visibility.c.subject == bindparam("a_subject"),
    visibility.c.region == bindparam("a_region"),
    visibility.c.audience == bindparam("a_audience"),
    visibility.c.decided == bindparam("a_decided"),
)


def _values(row: StatusRow, at_ms: int) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "region": row.scope.region,
        "audience": row.scope.audience,
        "decided": row.decided,
        "status": row.status,
        "content_version": row.content_version,
        "sequence": row.sequence,
        "at_ms": at_ms,
    }


def _detail(row: StatusRow) -> dict[str, Any]:
    said = {"region": row.scope.region, "audience": row.scope.audience, "status": row.status}
    return said | {"content_version": row.content_version, "sequence": row.sequence}


def _row(found: Row[Any]) -> StatusRow:
    row = found._mapping
    return StatusRow(
        row["subject"],
        Scope(row["region"], row["audience"]),
        row["status"],
        row["decided"],
        row["content_version"],
        row["sequence"],
    )
