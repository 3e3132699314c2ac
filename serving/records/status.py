"""Who may see what: the status of a subject per region and audience, resolved by plain rules.

A subject is an item (``item:<id>``) or a creator (``creator:<id>``). Its rows may overlap; of the
automatic checks, and of the decisions by people, the newest that covers a viewer speaks. A decision
overrules every check of the versions up to the one it judged. For a later version the stricter of
the two holds, so that an edit neither lifts a takedown nor inherits a pardon. A subject without
rows is visible: it is known from a bundle only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["pending", "visible", "limited", "hidden"]
Publish = Literal["after_check", "before_check"]
STATUSES: tuple[Status, ...] = ("visible", "limited", "pending", "hidden")  # mildest first
ANY = "*"


@dataclass(frozen=True)
class Scope:
    """The viewers a row speaks about; ``*`` stands for all, regions are in upper case."""

    region: str = ANY
    audience: str = ANY

    def covers(self, region: str, audience: str) -> bool:
        """Whether a viewer of this region and audience is meant."""
        return self.region in (ANY, region) and self.audience in (ANY, audience)


EVERYONE = Scope()


@dataclass(frozen=True)
class StatusRow:
    """One sequenced row of visibility.

    Attributes:
        subject: ``item:<id>`` or ``creator:<id>``.
        scope: the viewers it speaks about.
        status: what they get.
        decided: set by a person, not by an automatic check.
        content_version: the version of the item that was judged; 0 for creators.
        sequence: place in the one order of all visibility changes, from 1.
    """

    subject: str
    scope: Scope
    status: Status
    decided: bool
    content_version: int
    sequence: int


def item_subject(item_id: str) -> str:
    """Subject of an item."""
    return f"item:{item_id}"


def creator_subject(creator_id: str) -> str:
    """Subject of a creator: all items of theirs."""
    return f"creator:{creator_id}"


def resolve(rows: Iterable[StatusRow], region: str, audience: str) -> Status:
    """Status of one subject, given all its rows, for a viewer."""
    covering = [row for row in rows if row.scope.covers(region, audience)]
    decision = _newest(row for row in covering if row.decided)
    check = _newest(row for row in covering if not row.decided)
    if check is None or decision is None:
        alone = decision or check
        return "visible" if alone is None else alone.status
    if check.content_version <= decision.content_version:
        return decision.status
    return strictest(decision.status, check.status)


def strictest(*statuses: Status) -> Status:
    """The one that shows least."""
    return max(statuses, key=STATUSES.index)


def _newest(rows: Iterable[StatusRow]) -> StatusRow | None:
    return max(rows, key=lambda row: row.sequence, default=None)


def servable(status: Status) -> bool:
    """Whether a feed may show it at all; limited items are shown but not promoted."""
    return status in ("visible", "limited")
