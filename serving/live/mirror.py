"""A replica's own copy of visibility, good for a lease after each good read of the state."""

import json
from collections.abc import Callable, Iterable, Mapping

from serving.records.status import (
    Scope,
    Status,
    StatusRow,
    creator_subject,
    item_subject,
    resolve,
    servable,
    strictest,
)

LEASE_S = 15.0


class VisibilityMirror:
    """Rows of every subject that is not visible to everyone, as of one sequence number.

    A lease begins at the moment before a good read was sent, so that it ends here no later than
    the state believes.
    """

    def __init__(self, lease_s: float = LEASE_S) -> None:
        self._lease_s = lease_s
        self._rows: dict[str, tuple[StatusRow, ...]] = {}
        self.good_read_s = float("-inf")
        self.sequence: int | None = None

    def replace(self, sequence: int, encoded: Mapping[str, str]) -> None:
        """Take over a whole copy."""
        self._rows = {subject: decode_rows(subject, text) for subject, text in encoded.items()}
        self.sequence = sequence

    def apply(self, sequence: int, encoded: Mapping[str, str]) -> None:
        """Take over changed subjects; empty text means visible to everyone again."""
        for subject, text in encoded.items():
            if text:
                self._rows[subject] = decode_rows(subject, text)
            else:
                self._rows.pop(subject, None)
        self.sequence = sequence

    def renew(self, sent_s: float) -> None:
        """Extend the lease after a good read.

        Args:
            sent_s: monotonic seconds just before the read was sent.
        """
        self.good_read_s = max(self.good_read_s, sent_s)

    def trusted(self, now_s: float) -> bool:
        """Whether answers may rest on this copy."""
        return self.sequence is not None and now_s - self.good_read_s < self._lease_s

    def status(self, item_id: str, creator_id: str, region: str, audience: str) -> Status:
        """What a viewer gets of an item, its creator's standing included."""
        subjects = (item_subject(item_id), creator_subject(creator_id))
        found = (self._rows.get(subject, ()) for subject in subjects)
        return strictest(*(resolve(rows, region, audience) for rows in found))

    def hidden(self, region: str, audience: str) -> list[str]:
        """Subjects that a viewer may not see."""
        return self._subjects(region, audience, lambda status: not servable(status))

    def limited(self, region: str, audience: str) -> list[str]:
        """Subjects that a viewer may see, but that are not to be spread."""
        return self._subjects(region, audience, lambda status: status == "limited")

    def _subjects(self, region: str, audience: str, meant: Callable[[Status], bool]) -> list[str]:
        return [
            subject
            for subject, rows in self._rows.items()
            if meant(resolve(rows, region, audience))
        ]


def encode_rows(rows: Iterable[StatusRow]) -> str:
    """All rows of one subject as the state keeps them; empty if it is visible to everyone."""
    kept = list(rows)
    if all(row.status == "visible" for row in kept):
        return ""
    return json.dumps(
        [
            [
                row.scope.region,
                row.scope.audience,
                int(row.decided),
                row.content_version,
                row.sequence,
                row.status,
            ]
            for row in kept
        ],
        separators=(",", ":"),
    )


def decode_rows(subject: str, text: str) -> tuple[StatusRow, ...]:
    """The inverse of `encode_rows`."""
    return tuple(
        StatusRow(subject, Scope(region, audience), status, bool(decided), version, sequence)
        for region, audience, decided, version, sequence, status in json.loads(text)
    )
