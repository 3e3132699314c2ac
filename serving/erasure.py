"""Erasing users everywhere: the order of the steps over all stores, each safe to repeat."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from redis import Redis

from serving.archive.compaction import erase
from serving.archive.reading import count_rows
from serving.archive.store import ArchiveStore
from serving.live.erasure import bar, barred_count, forget_user, held_keys
from serving.records.contracts import Erasures

log = logging.getLogger("tidegate.erasure")

ACTOR = "archiver"
ARCHIVE = "archive"


@dataclass
class StoreEraser:
    """Works off what was asked for; see `serving.archive.worker.Eraser`.

    Each step is repeated whole after a crash. What is found is noted before it is removed, so no
    count is lost either.

    Attributes:
        erasures: the durable list of requests, in the records.
        states: the state servers, by their names on receipts.
    """

    erasures: Erasures
    states: Mapping[str, Redis]
    _barred: int = field(default=-1, init=False)  # how many are known to every state

    def waiting(self) -> bool:
        """See `Eraser.waiting`."""
        return bool(self.erasures.pending())

    def work_off(self, store: ArchiveStore, drain: Callable[[], None]) -> None:
        """See `Eraser.work_off`."""
        asked = self.erasures.pending()
        self._bar()  # after that: whoever asks meanwhile is barred and erased in the next round
        for leaving in asked:
            if leaving.user_id is not None:
                drain()  # nothing of a barred user comes after this
                self._forget(leaving.receipt_id, leaving.user_id, store)
                self.erasures.forget(ACTOR, leaving)
            self.erasures.close(ACTOR, leaving.receipt_id)
            log.info("erasure %s is done", leaving.receipt_id)

    def _bar(self) -> None:
        count, clients = self.erasures.subject_count(), self.states.values()
        if count != self._barred or any(barred_count(client) < count for client in clients):
            subjects = self.erasures.erased_subjects()
            for client in clients:
                bar(client, subjects)
            self._barred = len(subjects)

    def _forget(self, receipt_id: str, user_id: str, store: ArchiveStore) -> None:
        self.erasures.note(ACTOR, receipt_id, {ARCHIVE: count_rows(store, user_id)})
        erase(store, user_id)
        for name, client in self.states.items():
            self.erasures.note(ACTOR, receipt_id, {name: held_keys(client, user_id)})
            forget_user(client, user_id)
