"""What is recorded of whoever asks, remembered so that few requests read records."""

import asyncio
import logging
import time
from collections import OrderedDict
from datetime import UTC, datetime

from serving.feed.terms import Standing
from serving.records.contracts import Users
from serving.records.errors import NotFound, RecordsError
from serving.records.profiles import User

log = logging.getLogger("tidegate.profiles")

FRESH_S = 1.0  # so long another replica may not know a correction
LOOK_S = 0.25  # between two looks at who was corrected
REMEMBERED = 50_000  # users; the one not asked for longest is forgotten first
ADULT_YEARS = 18


class Profiles:
    """Recorded facts of users; of someone not recorded, None.

    What is remembered holds as long as `follow` keeps hearing whose record changed.
    """

    def __init__(self, users: Users) -> None:
        self._users = users
        self._known: OrderedDict[str, tuple[str, User | None]] = OrderedDict()  # by subject hash
        self._ids: dict[str, str] = {}
        self._looked_s = float("-inf")
        self._sequence: int | None = None

    async def of(self, user_id: str) -> User | None:
        """Return what is recorded of a user, at most FRESH_S old while the records answer.

        Raises:
            RecordsError: the records do not answer, and nothing is remembered of the user.
        """
        known = self._known.get(user_id)
        if known is not None and time.monotonic() - self._looked_s < FRESH_S:
            self._known.move_to_end(user_id)
            return known[1]
        sequence = self._sequence
        try:
            subject, user = await asyncio.to_thread(_found, self._users, user_id)
        except RecordsError:
            if known is None:
                raise
            return known[1]
        if sequence == self._sequence:  # else the record may have changed since it was read
            self._remember(user_id, subject, user)
        return user

    def forget(self, user_id: str) -> None:
        """Read a user anew the next time."""
        known = self._known.pop(user_id, None)
        if known is not None:
            del self._ids[known[0]]

    async def follow(self) -> None:
        """Forget those whose record changed, until cancelled."""
        while True:
            started_s = time.monotonic()
            try:
                changes = await asyncio.to_thread(self._users.changed, self._sequence)
            except RecordsError as error:
                log.error("corrections of users are not followed: %s", error)
            else:
                for subject in changes.subjects & self._ids.keys():
                    self.forget(self._ids[subject])
                self._sequence, self._looked_s = changes.sequence, started_s
            await asyncio.sleep(LOOK_S)

    def _remember(self, user_id: str, subject: str, user: User | None) -> None:
        self._known[user_id] = subject, user
        self._known.move_to_end(user_id)
        self._ids[subject] = user_id
        if len(self._known) > REMEMBERED:
            self.forget(next(iter(self._known)))


def standing_of(user: User | None, region: str | None, now_ms: int) -> Standing:
    """Return the terms on which a user sees items.

    Args:
        user: what is recorded; None for nothing.
        region: that the request names; it speaks where nothing is recorded.
        now_ms: the moment, ms since 1970.
    """
    if user is None:
        return Standing(region)
    return Standing(
        user.region or region,
        user.language,
        _is_adult(user.birth_year, now_ms),
        user.birth_year is not None,
        user.time_zone,
        frozenset(user.blocks.creators),
        frozenset(user.blocks.categories),
    )


def _is_adult(birth_year: int | None, now_ms: int) -> bool:
    """Only the year is known: someone is of age when the whole year is."""
    year = datetime.fromtimestamp(now_ms / 1000, UTC).year
    return birth_year is not None and year - birth_year > ADULT_YEARS


def _found(users: Users, user_id: str) -> tuple[str, User | None]:
    subject = users.subject(user_id)
    try:
        return subject, users.get(user_id)
    except NotFound:
        return subject, None
