"""What can go wrong with records, in the words of the caller; no database is named here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one row of a bulk write.

    Attributes:
        row: position in what was sent, from 0.
        field: dotted name of the field.
        value: what stood there.
        message: what is wrong with it.
        limit: that it broke, None where there is none.
    """

    row: int
    field: str
    value: Any
    message: str
    limit: Any = None

    def __str__(self) -> str:
        text = repr(self.value)
        short = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
        return f"{self.field} = {short}: {self.message}"


class RecordsError(Exception):
    """Base of everything that the records refuse or cannot do."""


class BadRows(RecordsError):  # noqa: N818  (named for what the caller sent)
    """A bulk write refused whole; `faults` lists every bad row and field."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        super().__init__(
            f"{len(self.faults)} faults, nothing stored; the first: row {first.row}, {first}"
        )


class NotFound(RecordsError):  # noqa: N818
    """No such record."""


class Conflict(RecordsError):  # noqa: N818
    """The record is not in the state that the change expects."""


class AccessDenied(RecordsError):  # noqa: N818
    """The key is missing, wrong, expired, revoked or lacks the scope; it never says which."""

    def __init__(self) -> None:
        super().__init__("access denied")


class RecordsUnreachable(RecordsError):  # noqa: N818
    """The database does not answer; whether a change was stored cannot be known."""


class StorageFull(RecordsError):  # noqa: N818
    """The disk is full; the transaction was rolled back whole."""


class CorruptStore(RecordsError):  # noqa: N818
    """A file that cannot be read was set aside; the message names it and the way out."""
