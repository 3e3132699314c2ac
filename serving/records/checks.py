"""The work list of moderation: the version of each item that no verdict covers yet."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from serving.records import audits, visibility
from serving.records.contracts import Verdict
from serving.records.database import Transaction
from serving.records.moderation import Backlog, Check, Claim, Settled
from serving.records.tables import checks, items

WAITING, DONE = "waiting", "done"


def enqueue(unit: Transaction, versions: Mapping[str, int], *, background: bool = False) -> None:
    """Put versions on the list; an older version of the same item leaves it."""
    remove(unit, list(versions))
    rows = [
        {
            "item_id": item_id,
            "content_version": version,
            "state": WAITING,
            "background": background,
            "queued_at_ms": unit.now_ms,
            "due_at_ms": unit.now_ms,
            "attempts": 0,
        }
        for item_id, version in versions.items()
    ]
    if rows:
        unit.connection.execute(insert(checks), rows)


def remove(unit: Transaction, item_ids: Sequence[str]) -> None:
    """Take items off the list."""
    unit.connection.execute(delete(checks).where(checks.c.item_id.in_(item_ids)))


def is_due(connection: Connection, now_ms: int) -> bool:
    """Whether anything could be claimed."""
    due = (checks.c.state == WAITING) & (checks.c.due_at_ms <= now_ms)
    return connection.execute(select(checks.c.item_id).where(due).limit(1)).first() is not None


def claim(unit: Transaction, count: int, lease_ms: int) -> list[Claim]:
    """Take up to `count` versions that are due, new ones first, until the lease ends."""
    due = select(checks).where(checks.c.state == WAITING, checks.c.due_at_ms <= unit.now_ms)
    ordered = due.order_by(checks.c.background, checks.c.due_at_ms).limit(count)
    claims = [
        Claim(row.item_id, row.content_version, row.attempts + 1, row.queued_at_ms)
        for row in unit.connection.execute(ordered)
    ]
    taken = checks.c.item_id.in_([one.item_id for one in claims])
    values = {"due_at_ms": unit.now_ms + lease_ms, "attempts": checks.c.attempts + 1}
    if claims:
        unit.connection.execute(update(checks).where(taken).values(**values))
    return claims


def renew(unit: Transaction, claims: Sequence[Claim], lease_ms: int) -> None:
    """Hold claims from now on; each attempt is one claim, so that it tells whose it is."""
    for one in claims:
        mine = (
            (checks.c.item_id == one.item_id)
            & (checks.c.content_version == one.content_version)
            & (checks.c.attempts == one.attempts)
            & (checks.c.state == WAITING)
        )
        unit.connection.execute(update(checks).where(mine).values(due_at_ms=unit.now_ms + lease_ms))


def settle(unit: Transaction, settled: Settled) -> bool:
    """Apply a verdict to exactly the version that was judged."""
    version = visibility.current_version(unit.connection, settled.item_id)
    if version != settled.content_version:
        return False
    for scope, status in settled.outcomes:
        verdict = Verdict(settled.item_id, settled.content_version, status, scope)
        visibility.apply_verdict(unit, verdict)
    audits.draw(unit, settled)
    values = {
        "state": DONE,
        "suggestion": settled.suggestion,
        "verdict": settled.verdict,
        "fault": settled.fault,
        "checked_at_ms": unit.now_ms,
    }
    there = checks.c.item_id == settled.item_id
    unit.connection.execute(update(checks).where(there).values(**values))
    return True


def postpone(unit: Transaction, claimed: Claim, fault: str, delay_ms: int) -> None:
    """Let a version be claimed again after a while, and keep why."""
    same = (checks.c.item_id == claimed.item_id) & (
        checks.c.content_version == claimed.content_version
    )
    values = {"due_at_ms": unit.now_ms + delay_ms, "fault": fault}
    unit.connection.execute(update(checks).where(same).values(**values))


def again(unit: Transaction, item_ids: Sequence[str]) -> int:
    """Put the current versions of items on the list, behind new ones; those there stay."""
    waiting = select(checks.c.item_id).where(checks.c.state == WAITING)
    query = select(items.c.item_id, items.c.content_version).where(
        items.c.item_id.in_(item_ids),
        items.c.deleted_at_ms.is_(None),
        items.c.item_id.not_in(waiting),
    )
    versions = {row.item_id: row.content_version for row in unit.connection.execute(query)}
    enqueue(unit, versions, background=True)
    return len(versions)


def backlog(connection: Connection) -> Backlog:
    """How many wait, and since when."""
    query = (
        select(checks.c.background, func.count(), func.min(checks.c.queued_at_ms))
        .where(checks.c.state == WAITING)
        .group_by(checks.c.background)
    )
    found = {bool(row[0]): (int(row[1]), int(row[2])) for row in connection.execute(query)}
    waiting, oldest_ms = found.get(False, (0, None))
    return Backlog(waiting, found.get(True, (0, None))[0], oldest_ms)


def get(connection: Connection, item_id: str) -> Check | None:
    """The check of one item."""
    row: Any = connection.execute(select(checks).where(checks.c.item_id == item_id)).first()
    if row is None:
        return None
    return Check(
        row.item_id,
        row.content_version,
        row.state,
        row.attempts,
        row.fault,
        row.suggestion,
        row.verdict,
        row.checked_at_ms,
    )
