"""API keys: a principal and scopes behind ``tg_<key id>_<secret>``, stored as salted hashes.

The secret has 256 random bits, so one keyed BLAKE2b pass is enough: there is nothing to guess, and
a slow hash would only slow the hot path down.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection

from sqlalchemy import Connection, RowMapping, insert, select, update

from serving.records import audit
from serving.records.access import SCOPES, ApiKey, key_id_of
from serving.records.contracts import NewKey
from serving.records.database import Transaction
from serving.records.errors import BadRows, Fault, NotFound
from serving.records.tables import api_keys


def create(unit: Transaction, new: NewKey) -> str:
    """Store a new key and return its text, which is shown once and kept nowhere.

    Raises:
        BadRows: unknown scopes, no principal, or a limit that is not positive.
    """
    faults = _faults(new)
    if faults:
        raise BadRows(faults)
    key_id, secret, salt = secrets.token_hex(6), secrets.token_hex(32), secrets.token_hex(16)
    text = f"tg_{key_id}_{secret}"
    until_ms = None if new.lifetime_ms is None else unit.now_ms + new.lifetime_ms
    row = {
        "key_id": key_id,
        "principal": new.principal,
        "scopes": sorted(set(new.scopes)),
        "salt": salt,
        "digest": _digest(text, salt),
        "rate_per_s": new.rate_per_s,
        "burst": new.burst,
        "created_at_ms": unit.now_ms,
        "expires_at_ms": until_ms,
        "revoked_at_ms": None,
    }
    unit.connection.execute(insert(api_keys).values(**row))
    detail = {"principal": new.principal, "scopes": row["scopes"]}
    audit.append(unit, "key.create", key_id, detail)
    return text


def revoke(unit: Transaction, key_id: str) -> None:
    """End a key now.

    Raises:
        NotFound: no such key, or it was revoked before.
    """
    alive = (api_keys.c.key_id == key_id) & api_keys.c.revoked_at_ms.is_(None)
    changed = update(api_keys).where(alive).values(revoked_at_ms=unit.now_ms)
    if unit.connection.execute(changed).rowcount == 0:
        raise NotFound(f"key {key_id}: none that could be revoked")
    audit.append(unit, "key.revoke", key_id, {})


def listed(connection: Connection) -> list[ApiKey]:
    """All keys, oldest first, without anything secret."""
    query = select(api_keys).order_by(api_keys.c.created_at_ms, api_keys.c.key_id)
    return [_key(row) for row in connection.execute(query).mappings()]


def find(connection: Connection, text: str) -> ApiKey | None:
    """The key with this text, expired and revoked ones too; None if there is none."""
    query = select(api_keys).where(api_keys.c.key_id == (key_id_of(text) or ""))
    row = connection.execute(query).mappings().first()
    if row is None or not hmac.compare_digest(row["digest"], _digest(text, row["salt"])):
        return None
    return _key(row)


def _digest(text: str, salt: str) -> str:
    return hashlib.blake2b(text.encode(), key=bytes.fromhex(salt), digest_size=32).hexdigest()


def _faults(new: NewKey) -> list[Fault]:
    known: Collection[str] = SCOPES
    checks = (
        ("principal", not new.principal.strip(), "a key belongs to someone"),
        ("scopes", not new.scopes or not set(new.scopes) <= set(known), f"one or more of {SCOPES}"),
        ("rate_per_s", not new.rate_per_s > 0, "must be above 0"),
        ("burst", not new.burst >= 1, "must be 1 or more"),
        ("lifetime_ms", new.lifetime_ms is not None and new.lifetime_ms <= 0, "must be above 0"),
    )
    return [Fault(0, name, getattr(new, name), text) for name, broken, text in checks if broken]


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        row["key_id"],
        row["principal"],
        frozenset(row["scopes"]),
        row["rate_per_s"],
        row["burst"],
        row["created_at_ms"],
        row["expires_at_ms"],
        row["revoked_at_ms"],
    )
