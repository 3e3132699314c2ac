"""What is remembered of users, and how soon a correction counts."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from serving.profiles import FRESH_S, LOOK_S, Profiles
from serving.records.contracts import UserChanges
from serving.records.errors import NotFound, RecordsUnreachable
from serving.records.profiles import User


class Recorded:
    """Users in a dictionary; counts reads and can be cut off."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.acts: list[str] = []
        self.reads = 0
        self.reachable = True

    def put(self, user: User) -> None:
        self.users[user.user_id] = user
        self.acts.append(self.subject(user.user_id))

    def subject(self, user_id: str) -> str:
        return f"hash of {user_id}"

    def get(self, user_id: str) -> User:
        self._reach()
        self.reads += 1
        if user_id not in self.users:
            raise NotFound("no such user")
        return self.users[user_id]

    def changed(self, after: int | None) -> UserChanges:
        self._reach()
        newest = len(self.acts)
        return UserChanges(newest, frozenset(self.acts[newest if after is None else after :]))

    def _reach(self) -> None:
        if not self.reachable:
            raise RecordsUnreachable("cut off")


def followed(recorded: Recorded, steps: Callable[[Profiles], Awaitable[None]]) -> None:
    """Run steps over profiles that follow what is recorded."""

    async def run() -> None:
        profiles = Profiles(recorded)  # type: ignore[arg-type]
        following = asyncio.create_task(profiles.follow())
        await asyncio.sleep(LOOK_S / 2)
        await steps(profiles)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    asyncio.run(run())


def test_someone_is_read_once_while_nothing_changes() -> None:
    recorded = Recorded()
    recorded.put(User(user_id="known", region="CN"))

    async def steps(profiles: Profiles) -> None:
        for _ in range(3):
            known = await profiles.of("known")
            assert known is not None
            assert known.region == "CN"
            assert await profiles.of("stranger") is None
        await asyncio.sleep(2 * LOOK_S)
        await profiles.of("known")

    followed(recorded, steps)
    assert recorded.reads == 2


def test_a_correction_elsewhere_counts_after_the_next_look() -> None:
    recorded = Recorded()
    recorded.put(User(user_id="u", region="CN"))

    async def steps(profiles: Profiles) -> None:
        await profiles.of("u")
        await profiles.of("other")
        recorded.put(User(user_id="u", region="US"))
        await asyncio.sleep(2 * LOOK_S)
        corrected = await profiles.of("u")
        assert corrected is not None
        assert corrected.region == "US"
        await profiles.of("other")

    followed(recorded, steps)
    assert recorded.reads == 3


def test_what_changed_while_it_was_read_is_not_remembered() -> None:
    recorded = Recorded()
    recorded.put(User(user_id="u", region="CN"))

    async def steps(profiles: Profiles) -> None:
        reading = asyncio.create_task(profiles.of("u"))
        await asyncio.sleep(0)
        profiles._sequence = -1  # a look ended meanwhile
        await reading
        await profiles.of("u")

    followed(recorded, steps)
    assert recorded.reads == 2


def test_without_looks_nothing_is_fresh_and_what_is_remembered_speaks_in_need() -> None:
    recorded = Recorded()
    recorded.put(User(user_id="u", region="CN"))

    async def steps(profiles: Profiles) -> None:
        await profiles.of("u")
        recorded.reachable = False
        await asyncio.sleep(FRESH_S + LOOK_S)
        remembered = await profiles.of("u")
        assert remembered is not None
        with pytest.raises(RecordsUnreachable):
            await profiles.of("stranger")

    followed(recorded, steps)


def test_the_longest_unasked_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.profiles.REMEMBERED", 2)
    recorded = Recorded()

    async def steps(profiles: Profiles) -> None:
        for user_id in ("a", "b", "a", "c", "a", "b"):
            await profiles.of(user_id)

    followed(recorded, steps)
    assert recorded.reads == 4  # a, b, c, and b again
