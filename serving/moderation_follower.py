"""Certificates, banks and rule packs of this process, kept as the records and files have them."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from embeddings.fingerprint import Fingerprint
from serving.api.metrics import Metrics
from serving.fingerprints import FingerprintFiles
from serving.media import path_of
from serving.moderation.banks import BankBook, Known
from serving.moderation.desk import ModerationDesk
from serving.moderation.picture_formats import MediaError
from serving.moderation.rulebook import RuleBook
from serving.records.errors import RecordsError
from serving.records.moderation import BankEntry, ModerationRecords

log = logging.getLogger("tidegate.moderation")

CHANGES = 200  # entries a step
FINGERPRINTS = "fingerprints"  # folder of what is derived from files beside them


@dataclass(frozen=True)
class ModerationFollower:
    """What is followed.

    Attributes:
        desk: the one that judges now. banks: that every desk of the process uses.
        media: folder of uploaded files. interval_s: between two looks.
    """

    records: ModerationRecords
    desk: Callable[[], ModerationDesk]
    banks: BankBook
    media: Path
    metrics: Metrics
    interval_s: float

    async def run(self) -> None:
        """Follow until cancelled."""
        stamp: tuple[tuple[str, int], ...] = ()
        while True:
            try:
                more = await self.step()
            except RecordsError as error:
                log.error("certificates and banks are not followed: %s", error)
                more = False
            stamp = await self.read_rules(stamp)
            await asyncio.sleep(0 if more else self.interval_s)

    async def step(self) -> bool:
        """Take over what changed; whether there may be more.

        Raises:
            RecordsError: the records cannot be read.
        """
        issued = await asyncio.to_thread(self.records.certificates.listed)
        self.desk().moderator.certificates.replace(issued)
        changes = await asyncio.to_thread(self.records.banks.changes, self.banks.sequence, CHANGES)
        for entry in changes:
            await self._take(entry)
            self.banks.sequence = entry.sequence
        return len(changes) == CHANGES

    async def read_rules(self, known: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        """Read the rule packs again where a file changed; a pack that is refused stays as it was.

        Args:
            known: what `stamp_of` gave when they were last read; empty reads nothing.
        """
        book = self.desk().moderator.book
        found = await asyncio.to_thread(stamp_of, book)
        if known and found != known:
            done = await asyncio.to_thread(book.reload)
            log.info("rule packs in force: %s", ", ".join(done.loaded))
            for name, why in done.refused.items():
                log.error("%s is refused, the old pack stays: %s", name, why)
            self.metrics.rule_packs_refused.set(len(done.refused))
        return found

    async def _take(self, entry: BankEntry) -> None:
        desk = self.desk()
        if entry.removed_at_ms is not None:
            await desk.aside(partial(self.banks.remove, entry.entry_id))
            return
        known = Known(entry.entry_id, entry.bank, entry.kind, entry.label, entry.action)
        try:
            if entry.kind == "text":
                text = entry.fingerprint["text"]
                await desk.aside(partial(self.banks.add_text, known, text))
                return
            found = await self._fingerprint(desk, entry.fingerprint["sha256"])
            await desk.aside(lambda: self.banks.add_picture(known, found))
        except (OSError, MediaError, ValueError) as error:
            log.error("bank %s: entry %s is not in force: %s", entry.bank, entry.entry_id, error)

    async def _fingerprint(self, desk: ModerationDesk, sha256: str) -> Fingerprint:
        """What a picture is known again by: as it was kept, or else looked at now and kept."""
        files = FingerprintFiles(self.media / FINGERPRINTS)
        kept = await asyncio.to_thread(files.load, desk.version, sha256)
        if kept is not None:
            return kept
        sight = desk.moderator.sight
        if sight is None:
            raise MediaError("unsupported_format", "the bundle judges no pictures")
        content = await asyncio.to_thread(path_of(self.media, sha256).read_bytes)
        picture = await desk.picture(content)
        found = await desk.aside(lambda: sight.fingerprint(picture))
        try:
            await asyncio.to_thread(files.keep, desk.version, sha256, found)
        except OSError as error:
            log.error(
                "the fingerprint of %s is not kept, the next start looks again: %s", sha256, error
            )
        return found


def stamp_of(book: RuleBook) -> tuple[tuple[str, int], ...]:
    """Names and times of the files of a rule book; another one when any changed."""
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in book.files()))
