"""Erasure in the records: who is barred, whose data is still on the way out, and the receipts.

A receipt names its user only while the erasure is under way; what stays is a keyed hash.
"""

import secrets
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from serving.records import audit
from serving.records.contracts import Leaving, Receipt
from serving.records.database import Transaction
from serving.records.errors import NotFound
from serving.records.secret_keys import pseudonym
from serving.records.tables import blocks, do_not_train, erasure_receipts, users

ERASE = "user.erase"  # act in the audit trail
RECEIPT = [column for column in erasure_receipts.c if column.name != "user_id"]


def request(unit: Transaction, user_id: str) -> Receipt:
    """Bar a user for good and ask for the removal of everything kept of them.

    Asked again while it is under way, nothing changes; asked again later, all is searched anew
    (a backup may have been restored) and the same receipt tells the most that was ever found.
    """
    subject = pseudonym(unit.secrets.subject, user_id)
    if not is_erased(unit.connection, subject):
        barred = insert(do_not_train).values(subject_mac=subject, at_ms=unit.now_ms)
        unit.connection.execute(barred)
    asked = {"user_id": user_id, "requested_at_ms": unit.now_ms, "model": "pending"}
    same = erasure_receipts.c.subject_mac == subject
    finished = same & erasure_receipts.c.erased_at_ms.is_not(None)
    again = update(erasure_receipts).where(finished).values(**asked, erased_at_ms=None)
    known = unit.connection.execute(select(erasure_receipts.c.receipt_id).where(same)).scalar()
    if known is None:
        new = asked | {"receipt_id": secrets.token_hex(16), "subject_mac": subject, "stores": {}}
        unit.connection.execute(insert(erasure_receipts).values(**new))
    if known is None or unit.connection.execute(again).rowcount:
        audit.append(unit, f"{ERASE}.request", subject, {})
    return _receipts(unit.connection, same)[0]


def pending(connection: Connection) -> list[Leaving]:
    """Erasures that are under way, oldest first."""
    query = select(erasure_receipts.c.receipt_id, erasure_receipts.c.user_id)
    waiting = query.where(erasure_receipts.c.erased_at_ms.is_(None))
    found = connection.execute(waiting.order_by(erasure_receipts.c.requested_at_ms))
    return [Leaving(receipt_id, user_id) for receipt_id, user_id in found]


def note(unit: Transaction, receipt_id: str, found: Mapping[str, int]) -> None:
    """Keep on the receipt what was found, by store; the larger number wins.

    Stores are counted before they are emptied, so a run that was cut off loses no count.
    """
    before = receipt_of(unit.connection, receipt_id).stores
    stores = {**before, **{name: max(n, before.get(name, 0)) for name, n in found.items()}}
    same = erasure_receipts.c.receipt_id == receipt_id
    unit.connection.execute(update(erasure_receipts).where(same).values(stores=stores))


def forget(unit: Transaction, leaving: Leaving) -> None:
    """Remove a user from the records, and the name from the receipt."""
    gone = unit.connection.execute(
        delete(blocks).where(blocks.c.user_id == leaving.user_id)
    ).rowcount
    gone += unit.connection.execute(
        delete(users).where(users.c.user_id == leaving.user_id)
    ).rowcount
    note(unit, leaving.receipt_id, {"records": gone})
    same = erasure_receipts.c.receipt_id == leaving.receipt_id
    unit.connection.execute(update(erasure_receipts).where(same).values(user_id=None))


def close(unit: Transaction, receipt_id: str) -> Receipt:
    """Say that nothing of the user is left in any store."""
    same = erasure_receipts.c.receipt_id == receipt_id
    done = update(erasure_receipts).where(same).values(erased_at_ms=unit.now_ms)
    unit.connection.execute(done)
    receipt = receipt_of(unit.connection, receipt_id)
    detail = {"receipt": receipt_id, "stores": receipt.stores}
    audit.append(unit, ERASE, receipt.subject_mac, detail)
    return receipt


def awaiting_model(connection: Connection) -> int:
    """How many erasures wait for the models."""
    query = select(func.count()).where(
        erasure_receipts.c.model == "pending", erasure_receipts.c.erased_at_ms.is_not(None)
    )
    return int(connection.execute(query).scalar_one())


def finish(unit: Transaction, trained_after_ms: int) -> int:
    """Mark receipts whose user no remaining bundle has seen; return how many.

    Args:
        unit: the transaction.
        trained_after_ms: when the data of the oldest remaining bundle was read.
    """
    waiting = (erasure_receipts.c.model == "pending") & (
        erasure_receipts.c.erased_at_ms < trained_after_ms
    )
    done = unit.connection.execute(update(erasure_receipts).where(waiting).values(model="done"))
    return done.rowcount


def receipt_of(connection: Connection, receipt_id: str) -> Receipt:
    """One receipt.

    Raises:
        NotFound: no such receipt.
    """
    found = _receipts(connection, erasure_receipts.c.receipt_id == receipt_id)
    if not found:
        raise NotFound(f"receipt {receipt_id}: none")
    return found[0]


def erased_subjects(connection: Connection) -> frozenset[str]:
    """Keyed hashes of everyone who left or is leaving: the do-not-train list."""
    return frozenset(connection.execute(select(do_not_train.c.subject_mac)).scalars())


def subject_count(connection: Connection) -> int:
    """Length of the do-not-train list."""
    query = select(func.count()).select_from(do_not_train)
    return int(connection.execute(query).scalar_one())


def is_erased(connection: Connection, subject_mac: str) -> bool:
    """Whether the owner of a keyed hash has left."""
    query = select(do_not_train.c.at_ms).where(do_not_train.c.subject_mac == subject_mac)
    return connection.execute(query).first() is not None


def _receipts(connection: Connection, chosen: ColumnElement[bool]) -> list[Receipt]:
    rows = connection.execute(select(*RECEIPT).where(chosen)).mappings()
    return [Receipt(**row) for row in rows]
