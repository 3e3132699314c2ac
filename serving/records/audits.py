"""Decisions of the machine that people look at again: drawn at random, answered once."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, Row, insert, select, update

from serving.moderation.certificates import Judge
from serving.records import audit
from serving.records.database import Transaction
from serving.records.errors import Conflict, NotFound
from serving.records.moderation import Audit, Settled
from serving.records.status import item_subject
from serving.records.tables import audits

WHOLE = 1 << 64


def draw(unit: Transaction, settled: Settled) -> None:
    """Draw some of the decisions on one version of an item.

    The same decision is drawn or not however often it is repeated, once at most, and only the
    secret tells which: nobody can make a decision that is not audited, or one that counts twice.
    """
    lots = [one for one in settled.draws if lot(unit, settled, one.region, one.model) < one.share]
    drawn = _drawn(unit.connection, settled) if lots else frozenset()
    rows = [
        {
            "audit_id": secrets.token_hex(8),
            "item_id": settled.item_id,
            "content_version": settled.content_version,
            "region": one.region,
            "model": one.model,
            "policy": one.policy,
            "margin": one.margin,
            "scores": dict(one.scores),
            "drawn_at_ms": unit.now_ms,
        }
        for one in lots
        if Judge(one.model, one.policy, one.region) not in drawn
    ]
    if rows:
        unit.connection.execute(insert(audits), rows)


def _drawn(connection: Connection, settled: Settled) -> frozenset[Judge]:
    """Judges whose decision on this version is drawn already."""
    query = select(audits.c.model, audits.c.policy, audits.c.region).where(
        audits.c.item_id == settled.item_id,
        audits.c.content_version == settled.content_version,
    )
    return frozenset(Judge(*row) for row in connection.execute(query))


def lot(unit: Transaction, settled: Settled, region: str, model: str) -> float:
    """A number in [0, 1) that belongs to one decision."""
    named = f"{settled.item_id}\n{settled.content_version}\n{region}\n{model}".encode()
    digest = hmac.new(unit.secrets.audit, b"lot\n" + named, hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") / WHOLE


def waiting(connection: Connection, limit: int) -> list[Audit]:
    """Those not answered, oldest first."""
    open_ones = select(audits).where(audits.c.answered_at_ms.is_(None))
    ordered = open_ones.order_by(audits.c.drawn_at_ms, audits.c.audit_id).limit(limit)
    return [_audit(row) for row in connection.execute(ordered)]


def answer(unit: Transaction, audit_id: str, violations: Sequence[str]) -> Audit:
    """Keep what a person found.

    Raises:
        NotFound: no such audit.
        Conflict: it is answered already.
    """
    same = audits.c.audit_id == audit_id
    found = unit.connection.execute(select(audits).where(same)).first()
    if found is None:
        raise NotFound(f"audit {audit_id}: no such audit")
    if found.answered_at_ms is not None:
        raise Conflict(f"audit {audit_id}: was answered before")
    values = {"answered_at_ms": unit.now_ms, "violations": list(violations)}
    unit.connection.execute(update(audits).where(same).values(**values))
    detail = {"audit_id": audit_id, "violations": list(violations)}
    audit.append(unit, "audit.answer", item_subject(found.item_id), detail)
    return _audit(unit.connection.execute(select(audits).where(same)).one())


def answered(connection: Connection, judge: Judge) -> list[Audit]:
    """All that were answered of one judge, in the order of drawing."""
    query = select(audits).where(
        audits.c.answered_at_ms.is_not(None),
        audits.c.model == judge.model,
        audits.c.policy == judge.policy,
        audits.c.region == judge.region,
    )
    ordered = query.order_by(audits.c.drawn_at_ms, audits.c.audit_id)
    return [_audit(row) for row in connection.execute(ordered)]


def _audit(row: Row[tuple[object, ...]]) -> Audit:
    return Audit(**row._mapping)
