"""Jobs: batches that somebody sent and scans of the catalogue; a crash repeats the row it met."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from serving.records import audit
from serving.records.database import Transaction
from serving.records.errors import NotFound
from serving.records.moderation import Job, JobRow, NewJob
from serving.records.tables import items, job_rows, jobs

RUNNING, DONE = "running", "done"
NONE, WAITING = "none", "waiting"


def create(unit: Transaction, new: NewJob) -> Job:
    """Keep a job and its rows."""
    job_id = f"job-{secrets.token_hex(8)}"
    total = len(new.rows) if new.kind == "batch" else _items(unit.connection)
    values = {
        "job_id": job_id,
        "kind": new.kind,
        "principal": unit.actor,
        "state": RUNNING,
        "asked": dict(new.asked),
        "total": total,
        "done": 0,
        "place": 0,
        "due_at_ms": unit.now_ms,
        "created_at_ms": unit.now_ms,
        "ended_at_ms": None,
        "delivery": NONE,
        "attempts": 0,
    }
    unit.connection.execute(insert(jobs).values(**values))
    rows = [
        {"job_id": job_id, "number": number, "content": dict(content)}
        for number, content in enumerate(new.rows)
    ]
    if rows:
        unit.connection.execute(insert(job_rows), rows)
    audit.append(unit, "job.create", f"job:{job_id}", {"kind": new.kind, "total": total})
    return get(unit.connection, job_id)


def claim(unit: Transaction, lease_ms: int) -> Job | None:
    """The oldest job that is due, for as long as the lease; None where nothing is."""
    running = (jobs.c.state == RUNNING) & (jobs.c.due_at_ms <= unit.now_ms)
    deliver = (jobs.c.delivery == WAITING) & (jobs.c.due_at_ms <= unit.now_ms)
    query = select(jobs.c.job_id).where(running | deliver).order_by(jobs.c.due_at_ms).limit(1)
    job_id = unit.connection.execute(query).scalar()
    if job_id is None:
        return None
    values = {"due_at_ms": unit.now_ms + lease_ms}
    unit.connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values))
    return get(unit.connection, job_id)


def is_due(connection: Connection, now_ms: int) -> bool:
    """Whether anything could be claimed."""
    open_ones = (jobs.c.state == RUNNING) | (jobs.c.delivery == WAITING)
    query = select(jobs.c.job_id).where(open_ones & (jobs.c.due_at_ms <= now_ms)).limit(1)
    return connection.execute(query).first() is not None


def advance(
    unit: Transaction, job_id: str, results: Sequence[JobRow], place: int, done: int
) -> None:
    """Keep results and how far the job has come; it is due again at once."""
    for row in results:
        there = (job_rows.c.job_id == job_id) & (job_rows.c.number == row.number)
        values = {"result": row.result}
        changed = unit.connection.execute(update(job_rows).where(there).values(**values))
        if changed.rowcount == 0:
            whole = {"job_id": job_id, "number": row.number, "content": dict(row.content)}
            unit.connection.execute(insert(job_rows).values(**whole, **values))
    moved = {"place": place, "done": done, "due_at_ms": unit.now_ms}
    unit.connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**moved))


def finish(unit: Transaction, job_id: str, deliver: bool) -> None:
    """End a job; its webhook is due now, if it has one."""
    values = {
        "state": DONE,
        "ended_at_ms": unit.now_ms,
        "due_at_ms": unit.now_ms,
        "delivery": WAITING if deliver else NONE,
    }
    unit.connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values))


def delivered(unit: Transaction, job_id: str, delivery: str, delay_ms: int) -> None:
    """Keep what became of one attempt to tell the webhook; `waiting` tries again after a while."""
    values = {
        "delivery": delivery,
        "attempts": jobs.c.attempts + 1,
        "due_at_ms": unit.now_ms + delay_ms,
    }
    unit.connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values))


def get(connection: Connection, job_id: str) -> Job:
    """One job.

    Raises:
        NotFound: no such job.
    """
    row: Any = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).first()
    if row is None:
        raise NotFound(f"job {job_id}: no such job")
    return Job(**row._mapping)


def rows(connection: Connection, job_id: str, after: int, limit: int) -> list[JobRow]:
    """Rows of a job past a number, in order."""
    query = select(job_rows).where(job_rows.c.job_id == job_id, job_rows.c.number > after)
    ordered = query.order_by(job_rows.c.number).limit(limit)
    return [
        JobRow(found.number, found.content, found.result) for found in connection.execute(ordered)
    ]


def _items(connection: Connection) -> int:
    there = select(func.count()).select_from(items).where(items.c.deleted_at_ms.is_(None))
    return int(connection.execute(there).scalar_one())
