"""From the records through the state to every replica: visibility, and who has seen a change."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from serving.live.mirror import LEASE_S, VisibilityMirror, encode_rows
from serving.live.pages import SEQUENCE, VISIBILITY
from serving.live.scripts import Script, answered
from serving.live.state import StateUnreachableError
from serving.live.wire import Argument
from serving.records.errors import RecordsError
from serving.records.status import StatusRow

CHANGES, REPLICAS = "visibility:changes", "replicas"
KEYS = (VISIBILITY, SEQUENCE, CHANGES, REPLICAS)
PAGE_ROWS = 1_000  # subjects a step; a script may unpack about 8,000 values
CHANGES_KEPT = 10_000
POLL_S = 0.02


Applied = Literal["done", "pending"]


class VisibilityRows(Protocol):
    """The truth, in the records; called from threads."""

    def changes(self, after: int, limit: int) -> list[StatusRow]:
        """Rows past a sequence number, oldest first."""

    def newest_sequence(self) -> int:
        """Number of the newest row."""

    def rows_of_subjects(self, subjects: Sequence[str]) -> dict[str, list[StatusRow]]:
        """All rows of these subjects."""


@dataclass(frozen=True)
class Replica:
    """What the state knows of one replica.

    Attributes:
        sequence: newest change that it had applied when it last read; -1 for none.
        read_ms: when that was, by the state's clock.
    """

    sequence: int
    read_ms: int


def holding_out(
    replicas: Mapping[str, Replica], sequence: int, now_ms: int, lease_ms: int
) -> list[str]:
    """Replicas that may still answer from before a change: not told yet, lease not over."""
    return sorted(
        name
        for name, replica in replicas.items()
        if replica.sequence < sequence and now_ms - replica.read_ms <= lease_ms
    )


class VisibilityLink:
    """Moves visibility from the records through the state into mirrors."""

    def __init__(self, client: Any, lease_s: float = LEASE_S) -> None:
        self._client = client
        self._apply = Script(client, "apply_visibility")
        self._renew = Script(client, "renew_lease")
        self._lease_ms = round(lease_s * 1000)

    async def push(self, rows: VisibilityRows) -> int:
        """Bring the state's copy up to the records and return the sequence number it reached.

        Whoever pushes first wins; the others find their work done. A copy that is lost, or newer
        than the records (they were restored from a backup), is built anew.

        Raises:
            StateUnreachableError: the state cannot be reached now; push again later.
        """
        while True:
            held = await answered(self._client.get(SEQUENCE))
            newest = await asyncio.to_thread(rows.newest_sequence)
            if held is None or int(held) > newest:
                await self._rebuild(rows, "" if held is None else int(held))
                continue
            page = await asyncio.to_thread(rows.changes, int(held), PAGE_ROWS)
            if not page:
                return int(held)
            await self._step(rows, int(held), page)

    async def renew(self, replica: str, mirror: VisibilityMirror) -> bool:
        """One good read: tell the state what the mirror holds, and bring it up to date.

        Returns:
            Whether the mirror changed, so that reading again at once acknowledges the change.

        Raises:
            StateUnreachableError: the lease was not renewed.
        """
        sent_s = time.monotonic()
        held = "" if mirror.sequence is None else str(mirror.sequence)
        answer = await self._renew(KEYS, [replica, held])
        if answer[0] == b"none":
            return False
        sequence = int(answer[1])
        if answer[0] == b"all":
            mirror.replace(sequence, paired(answer[2]))
        else:
            for entry, fields in answer[2]:
                mirror.apply(int(entry.split(b"-")[0]), paired(fields[2:]))
        mirror.renew(sent_s)
        return held != str(sequence)

    async def close(self) -> None:
        """Give connections back; nothing may be asked afterwards."""
        await self._client.aclose()

    async def leave(self, replica: str) -> None:
        """A replica that answers no more need not be waited for."""
        await answered(self._client.hdel(REPLICAS, replica))

    async def await_replicas(self, sequence: int, timeout_s: float) -> list[str]:
        """Wait until no replica can answer from before a change; return those that still may.

        Raises:
            StateUnreachableError: the state cannot be asked.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            replicas, now_ms = await self._replicas()
            left = holding_out(replicas, sequence, now_ms, self._lease_ms)
            if not left or time.monotonic() > deadline:
                return left
            await asyncio.sleep(POLL_S)

    async def _replicas(self) -> tuple[dict[str, Replica], int]:
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hgetall(REPLICAS)
        pipeline.time()
        found, (seconds, microseconds) = await answered(pipeline.execute())
        replicas = {
            name.decode(): Replica(*(int(part) for part in value.split(b":")))
            for name, value in found.items()
        }
        return replicas, seconds * 1000 + microseconds // 1000

    async def _step(self, rows: VisibilityRows, held: int, page: Sequence[StatusRow]) -> None:
        subjects = sorted({row.subject for row in page})
        found = await asyncio.to_thread(rows.rows_of_subjects, subjects)
        arguments: list[Argument] = [held, page[-1].sequence, CHANGES_KEPT, "0"]
        for subject in subjects:
            arguments += (subject, encode_rows(found.get(subject, ())))
        await self._apply(KEYS, arguments)

    async def _rebuild(self, rows: VisibilityRows, held: int | str) -> None:
        found, after = await asyncio.to_thread(_everything, rows)
        arguments: list[Argument] = [held, after, CHANGES_KEPT, "1"]
        for subject, of_subject in found.items():
            if text := encode_rows(of_subject):
                arguments += (subject, text)
        await self._apply(KEYS, arguments)


async def keep_lease(
    link: VisibilityLink,
    rows: VisibilityRows,
    replica: str,
    mirror: VisibilityMirror,
    interval_s: float = 0.25,
) -> None:
    """Keep a mirror fresh until cancelled.

    After an outage the state's copy may be older than a takedown that was answered with
    "pending": it is brought up to the records before the lease is renewed.
    """
    connected = False
    while True:
        try:
            if not connected:
                await link.push(rows)
            while await link.renew(replica, mirror):
                pass  # reading again acknowledges what was just learned
            connected = mirror.sequence is not None
        except (StateUnreachableError, RecordsError):
            connected = False
        await asyncio.sleep(interval_s)


async def apply_everywhere(link: VisibilityLink, rows: VisibilityRows, sequence: int) -> Applied:
    """Carry a committed change to every replica.

    Returns:
        "done": no request that begins now is answered from before the change; "pending": the
        state cannot be reached, the change waits in the outbox.
    """
    try:
        await link.push(rows)
        left = await link.await_replicas(sequence, timeout_s=2 * LEASE_S)
    except StateUnreachableError:
        return "pending"
    return "pending" if left else "done"


def paired(flat: Sequence[bytes]) -> dict[str, str]:
    """Subject and rows by turns, as the state answers."""
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _everything(rows: VisibilityRows) -> tuple[dict[str, list[StatusRow]], int]:
    found: dict[str, list[StatusRow]] = {}
    after = 0
    while page := rows.changes(after, PAGE_ROWS):
        for row in page:
            found.setdefault(row.subject, []).append(row)
        after = page[-1].sequence
    return found, after
