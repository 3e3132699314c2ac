"""Secrets that must live outside the database: one file each, readable by its owner only."""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KEY_BYTES = 32


@dataclass(frozen=True)
class Secrets:
    """The two keys that the records need and never hold.

    Attributes:
        audit: chains the audit trail.
        subject: hashes the ids of people.
    """

    audit: bytes
    subject: bytes


def load_secrets(folder: Path, environ: Mapping[str, str] | None = None) -> Secrets:
    """Both keys, from ``<NAME>_KEY`` in `environ` or from files in the folder."""
    given = environ or {}
    return Secrets(
        secret_key(folder / "audit.key", given.get("AUDIT_KEY")),
        secret_key(folder / "subject.key", given.get("SUBJECT_KEY")),
    )


def secret_key(path: Path, from_environment: str | None = None) -> bytes:
    """The secret [32 bytes or more] from the environment, or from its file, made on first use.

    Raises:
        ValueError: the secret is shorter than 32 bytes or not hexadecimal.
        PermissionError: others may read the file.
    """
    if from_environment is not None:
        return _decoded(from_environment, "the environment's secret")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return _read(path)


def pseudonym(key: bytes, subject: str) -> str:
    """What stays of an erased subject [64 hex digits]: recognisable to us, telling nothing."""
    return hmac.digest(key, subject.encode(), "sha256").hex()


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path}: others may read this secret; run: chmod 600 {path}")
    return _decoded(path.read_text(encoding="ascii").strip(), str(path))


def _decoded(text: str, source: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(f"{source}: not hexadecimal") from error
    if len(key) < KEY_BYTES:
        raise ValueError(f"{source}: {len(key)} bytes; at least {KEY_BYTES} are needed")
    return key
