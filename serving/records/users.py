"""Users: what they told us, what they allowed, what they never want to see."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, delete, func, insert, select, update

from serving.records import audit
from serving.records.contracts import UserChanges
from serving.records.database import Transaction
from serving.records.erasure import ERASE, is_erased
from serving.records.errors import BadRows, Conflict, NotFound
from serving.records.items import STORED, validation_faults
from serving.records.profiles import User
from serving.records.secret_keys import pseudonym
from serving.records.tables import audit as trail
from serving.records.tables import blocks, users

PUT = "user.put"  # act in the audit trail


def put(unit: Transaction, row: Mapping[str, Any]) -> User:
    """Store or correct one user whole.

    Raises:
        BadRows: a field is unknown or bad.
        Conflict: the user was erased; nothing of them is taken again.
    """
    try:
        user = User.model_validate(row)
    except ValidationError as error:
        raise BadRows(validation_faults(0, error)) from error
    subject = pseudonym(unit.secrets.subject, user.user_id)
    if is_erased(unit.connection, subject):
        raise Conflict("this user was erased; their data is no longer accepted")
    _write(unit, user)
    audit.append(unit, PUT, subject, {"fields": sorted(user.model_fields_set)})
    return user


def get(connection: Connection, user_id: str) -> User:
    """One user.

    Raises:
        NotFound: no such user.
    """
    found = connection.execute(select(users).where(users.c.user_id == user_id)).mappings().first()
    if found is None:
        raise NotFound("no such user")
    query = select(blocks.c.kind, blocks.c.value).where(blocks.c.user_id == user_id)
    blocked: dict[str, set[str]] = {"creators": set(), "categories": set()}
    for kind, value in connection.execute(query):
        blocked[kind].add(value)
    facts = {key: found[key] for key in User.model_fields if key != "blocks"}
    return User.model_validate(facts | {"blocks": blocked}, context=STORED)


def changed(connection: Connection, after: int | None) -> UserChanges:
    """Whose record changed after a number; every such act stands in the audit trail.

    Args:
        connection: to one snapshot, so that nothing is missed between two looks.
        after: the newest act known already; None for all of them.
    """
    newest = connection.execute(select(func.max(trail.c.sequence))).scalar() or 0
    if after is None or after == newest:
        return UserChanges(newest, frozenset())
    acts = trail.c.action.in_((PUT, ERASE)) & (trail.c.sequence > after)
    subjects = connection.execute(select(trail.c.subject).where(acts)).scalars()
    return UserChanges(newest, frozenset(subjects))


def _write(unit: Transaction, user: User) -> None:
    facts = user.model_dump(mode="json", exclude={"blocks", "user_id"})
    facts["updated_at_ms"] = unit.now_ms
    same = users.c.user_id == user.user_id
    if unit.connection.execute(update(users).where(same).values(**facts)).rowcount == 0:
        new = facts | {"user_id": user.user_id, "created_at_ms": unit.now_ms}
        unit.connection.execute(insert(users).values(**new))
    unit.connection.execute(delete(blocks).where(blocks.c.user_id == user.user_id))
    blocked = [("creators", value) for value in sorted(user.blocks.creators)]
    blocked += [("categories", value) for value in sorted(user.blocks.categories)]
    if blocked:
        rows = [{"user_id": user.user_id, "kind": k, "value": v} for k, v in blocked]
        unit.connection.execute(insert(blocks), rows)
