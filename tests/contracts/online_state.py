"""The contract of `OnlineState`, for every implementation."""

from collections.abc import Sequence
from uuid import uuid4

import pytest

from serving.feed.contracts import Behaviour
from serving.live.state import (
    RECENT_EVENTS,
    SEEN_ITEMS,
    OnlineState,
    UserEvent,
    UserState,
)


def events(user_id: str, behaviours: Sequence[Behaviour]) -> list[UserEvent]:
    return [UserEvent(user_id, behaviour) for behaviour in behaviours]


def plays(first: int, count: int) -> list[Behaviour]:
    return [Behaviour(f"item-{n}", "play", n, n / 2) for n in range(first, first + count)]


@pytest.mark.anyio
class OnlineStateContract:
    """Subclasses give the fixture `state`."""

    @pytest.fixture
    def user(self) -> str:
        return f"user {uuid4()}"

    async def test_nothing_is_known_of_a_new_user(self, state: OnlineState, user: str) -> None:
        assert await state.read(user) == UserState()

    async def test_later_events_come_first_with_every_field(
        self, state: OnlineState, user: str
    ) -> None:
        given = [Behaviour("a", "like", 7), Behaviour("物品", "play", 5, 1234.5)]
        await state.append(events(user, given[:1]))
        await state.append(events(user, given[1:]))
        assert (await state.read(user)).recent == (given[1], given[0])

    async def test_the_order_within_a_batch_is_kept(self, state: OnlineState, user: str) -> None:
        await state.append(events(user, plays(0, 5)))
        assert list((await state.read(user)).recent) == plays(0, 5)[::-1]

    async def test_only_the_newest_events_are_kept(self, state: OnlineState, user: str) -> None:
        await state.append(events(user, plays(0, RECENT_EVENTS)))
        await state.append(events(user, plays(RECENT_EVENTS, 3)))
        recent = (await state.read(user)).recent
        assert list(recent) == plays(3, RECENT_EVENTS)[::-1]

    async def test_impressions_are_seen_and_never_push_behaviour_out(
        self, state: OnlineState, user: str
    ) -> None:
        await state.append(events(user, plays(0, 2)))
        shown = [Behaviour(f"shown-{n}", "impression", n) for n in range(SEEN_ITEMS + 5)]
        await state.append(events(user, shown))
        known = await state.read(user)
        assert list(known.recent) == plays(0, 2)[::-1]
        assert list(known.seen) == [f"shown-{n}" for n in range(SEEN_ITEMS + 4, 4, -1)]

    async def test_a_batch_may_hold_many_users(self, state: OnlineState, user: str) -> None:
        other = user + "'s friend:1"
        mixed = [
            UserEvent(user, Behaviour("a", "like", 1)),
            UserEvent(other, Behaviour("b", "like", 2)),
            UserEvent(user, Behaviour("c", "like", 3)),
        ]
        await state.append(mixed)
        assert [b.item_id for b in (await state.read(user)).recent] == ["c", "a"]
        assert [b.item_id for b in (await state.read(other)).recent] == ["b"]

    async def test_it_says_that_it_answers(self, state: OnlineState) -> None:
        assert await state.reachable()
