"""What is recorded of whoever asks, remembered for a moment so that few requests read records."""

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime

from serving.feed.terms import Standing
from serving.records.contracts import Users
from serving.records.errors import NotFound, RecordsError
from serving.records.profiles import User

FRESH_S = 1.0  # so long another replica may not know a correction
REMEMBERED = 50_000  # users; the one not asked for longest is forgotten first
ADULT_YEARS = 18


class Profiles:
    """Recorded facts of users; of someone not recorded, None."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._known: OrderedDict[str, tuple[User | None, float]] = OrderedDict()

    async def of(self, user_id: str) -> User | None:
        """Return what is recorded of a user, at most FRESH_S old while the records answer.

        Raises:
            RecordsError: the records do not answer, and nothing is remembered of the user.
        """
        user, read_s = self._known.get(user_id, (None, float("-inf")))
        if time.monotonic() - read_s < FRESH_S:
            self._known.move_to_end(user_id)
            return user
        try:
            user = await asyncio.to_thread(_found, self._users, user_id)
        except RecordsError:
            if user_id not in self._known:
                raise
            return user
        self._known[user_id] = user, time.monotonic()
        self._known.move_to_end(user_id)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return user

    def forget(self, user_id: str) -> None:
        """Read a user anew the next time."""
        self._known.pop(user_id, None)


def standing_of(user: User | None, region: str | None) -> Standing:
    """Return the terms on which a user sees items.

    Args:
        user: what is recorded; None for nothing.
        region: that the request names; it speaks where nothing is recorded.
    """
    if user is None:
        return Standing(region)
    return Standing(
        user.region or region,
        user.language,
        _is_adult(user.birth_year),
        frozenset(user.blocks.creators),
        frozenset(user.blocks.categories),
    )


def _is_adult(birth_year: int | None) -> bool:
    """Only the year is known: someone is of age when the whole year is."""
    return birth_year is not None and datetime.now(UTC).year - birth_year > ADULT_YEARS


def _found(users: Users, user_id: str) -> User | None:
    try:
        return users.get(user_id)
    except NotFound:
        return None
