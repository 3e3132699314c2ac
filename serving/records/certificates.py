"""Certificates: issued together with their audit rows, revoked, never changed."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from serving.moderation.certificates import Certificate, Judge
from serving.records import audit
from serving.records.database import Transaction
from serving.records.errors import Conflict, NotFound
from serving.records.tables import certificates

REPLACED = "replaced by a newer one"


def issue(unit: Transaction, issued: Sequence[Certificate]) -> list[Certificate]:
    """Keep certificates; those in force for the same judge, side and label are revoked."""
    kept = []
    for one in issued:
        for other in listed(unit.connection):
            same = (other.side, other.label, other.judge) == (one.side, one.label, one.judge)
            if same and other.revoked_at_ms is None:
                revoke(unit, other.certificate_id, REPLACED)
        named = replace(
            one, certificate_id=f"cert-{secrets.token_hex(6)}", created_at_ms=unit.now_ms
        )
        unit.connection.execute(insert(certificates).values(**_values(named)))
        audit.append(unit, "certificate.issue", f"certificate:{named.certificate_id}", _told(named))
        kept.append(named)
    return kept


def revoke(unit: Transaction, certificate_id: str, because: str) -> Certificate:
    """End one.

    Raises:
        NotFound: no such certificate.
        Conflict: it is revoked already.
    """
    same = certificates.c.certificate_id == certificate_id
    found = unit.connection.execute(select(certificates).where(same)).first()
    if found is None:
        raise NotFound(f"certificate {certificate_id}: no such certificate")
    if found.revoked_at_ms is not None:
        raise Conflict(f"certificate {certificate_id}: was revoked before")
    values = {"revoked_at_ms": unit.now_ms, "revoked_because": because}
    unit.connection.execute(update(certificates).where(same).values(**values))
    subject = f"certificate:{certificate_id}"
    audit.append(unit, "certificate.revoke", subject, {"because": because})
    return _certificate(unit.connection.execute(select(certificates).where(same)).one())


def listed(connection: Connection) -> list[Certificate]:
    """All, newest first."""
    ordered = select(certificates).order_by(
        certificates.c.created_at_ms.desc(), certificates.c.certificate_id
    )
    return [_certificate(row) for row in connection.execute(ordered)]


def _values(one: Certificate) -> dict[str, Any]:
    own = {name: value for name, value in vars(one).items() if name != "judge"}
    return own | vars(one.judge)


def _told(one: Certificate) -> dict[str, Any]:
    names = ("side", "label", "model", "policy", "region", "threshold", "sample", "errors", "bound")
    values = _values(one)
    return {name: values[name] for name in names}


def _certificate(row: Any) -> Certificate:
    values = dict(row._mapping)
    judge = Judge(values.pop("model"), values.pop("policy"), values.pop("region"))
    return Certificate(judge=judge, **values)
