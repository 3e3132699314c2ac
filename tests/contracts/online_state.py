"""The contract of `OnlineState`, for every implementation."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from uuid import uuid4

import pytest

from serving.feed.contracts import Behaviour
from serving.live.event_stream import (
    Appended,
    BarredEventsError,
    ConflictingEventsError,
    LoggedEvent,
    logged_event,
)
from serving.live.online_state import OnlineState
from serving.live.pages import BarredUserError, Candidate, Impression, PageDraft
from serving.live.state import RECENT_EVENTS, UserState, is_impression

NOW = 1_800_000_000_000
MINUTE, DAY = 60_000, 86_400_000
Hide = Callable[[Sequence[str]], Awaitable[None]]
Bar = Callable[[str], Awaitable[None]]


def logged(user_id: str, behaviour: Behaviour, event_id: str | None = None) -> LoggedEvent:
    fields = {"item_id": behaviour.item_id, "type": behaviour.type, "time": behaviour.time_ms}
    told = {} if behaviour.watch_ms is None else {"watch_ms": behaviour.watch_ms}
    named = {"event_id": event_id or uuid4().hex, "user_id": user_id}
    return logged_event(fields | named | told, "*")


async def tell(state: OnlineState, user_id: str, behaviours: Sequence[Behaviour]) -> Appended:
    events = [logged(user_id, behaviour) for behaviour in behaviours]
    impressions = [Impression(user_id, b.item_id, "") for b in behaviours if is_impression(b)]
    return await state.append(events, impressions, NOW)


def plays(first: int, count: int) -> list[Behaviour]:
    return [Behaviour(f"item-{n}", "play", n, n / 2) for n in range(first, first + count)]


def draft(user_id: str, *names: str, k: int) -> PageDraft:
    candidates = [Candidate(name, f"c-{name}", b"{}") for name in names]
    return PageDraft(uuid4().hex, user_id, "CN", "all", k, b"{}", candidates)


@pytest.mark.anyio
class OnlineStateContract:
    """Subclasses give the fixtures `state`, `hide`, which takes down subjects of it, and `bar`."""

    @pytest.fixture
    def user(self) -> str:
        return f"user {uuid4()}"

    async def test_nothing_is_known_of_a_new_user(self, state: OnlineState, user: str) -> None:
        assert await state.read(user, NOW) == UserState()

    async def test_later_events_come_first_with_every_field(
        self, state: OnlineState, user: str
    ) -> None:
        given = [Behaviour("a", "like", 7), Behaviour("物品", "play", 5, 1234.5)]
        await tell(state, user, given[:1])
        await tell(state, user, given[1:])
        assert (await state.read(user, NOW)).recent == (given[1], given[0])

    async def test_the_order_within_a_batch_is_kept(self, state: OnlineState, user: str) -> None:
        await tell(state, user, plays(0, 5))
        assert list((await state.read(user, NOW)).recent) == plays(0, 5)[::-1]

    async def test_only_the_newest_events_are_kept(self, state: OnlineState, user: str) -> None:
        await tell(state, user, plays(0, RECENT_EVENTS))
        await tell(state, user, plays(RECENT_EVENTS, 3))
        recent = (await state.read(user, NOW)).recent
        assert list(recent) == plays(3, RECENT_EVENTS)[::-1]

    async def test_impressions_are_seen_and_never_push_behaviour_out(
        self, state: OnlineState, user: str
    ) -> None:
        await tell(state, user, plays(0, 2))
        shown = [Behaviour(f"shown-{n}", "impression", n) for n in range(RECENT_EVENTS + 5)]
        await tell(state, user, shown)
        known = await state.read(user, NOW)
        assert list(known.recent) == plays(0, 2)[::-1]
        assert set(known.seen) == {behaviour.item_id for behaviour in shown}
        assert (await state.read(user, NOW + 31 * DAY)).seen == ()

    async def test_a_batch_may_hold_many_users(self, state: OnlineState, user: str) -> None:
        other = user + "'s friend:1"
        mixed = [
            logged(user, Behaviour("a", "like", 1)),
            logged(other, Behaviour("b", "like", 2)),
            logged(user, Behaviour("c", "like", 3)),
        ]
        await state.append(mixed, [], NOW)
        assert [b.item_id for b in (await state.read(user, NOW)).recent] == ["c", "a"]
        assert [b.item_id for b in (await state.read(other, NOW)).recent] == ["b"]

    async def test_a_repeated_batch_changes_nothing_more(
        self, state: OnlineState, user: str
    ) -> None:
        batch = [logged(user, behaviour) for behaviour in plays(0, 3)]
        assert (await state.append(batch, [], NOW)).fresh == 3
        before = await state.read(user, NOW)
        again = await state.append([*batch, logged(user, Behaviour("b", "like", 9))], [], NOW)
        assert (again.fresh, again.duplicates) == (1, (0, 1, 2))
        assert (await state.read(user, NOW)).recent[1:] == before.recent

    async def test_a_known_id_with_another_body_refuses_the_batch(
        self, state: OnlineState, user: str
    ) -> None:
        name = uuid4().hex
        await state.append([logged(user, Behaviour("a", "like", 1), name)], [], NOW)
        batch = [
            logged(user, Behaviour("new", "like", 2)),
            logged(user, Behaviour("b", "like", 1), name),
        ]
        with pytest.raises(ConflictingEventsError) as refused:
            await state.append(batch, [], NOW)
        assert refused.value.positions == (1,)
        assert [b.item_id for b in (await state.read(user, NOW)).recent] == ["a"]

    async def test_what_is_taken_down_is_replaced_on_the_page(
        self, state: OnlineState, hide: Hide, user: str
    ) -> None:
        await hide(["item:b", "creator:c-d"])
        page = await state.commit(draft(user, "a", "b", "c", "d", "e", "f", k=3), NOW)
        assert (page.kept, page.hidden, page.spent) == ((0, 2, 4), (1, 3), ())

    async def test_what_was_served_counts_as_seen_for_a_while(
        self, state: OnlineState, hide: Hide, user: str
    ) -> None:
        await hide([])
        await state.commit(draft(user, "a", "b", "c", k=2), NOW)
        assert (await state.read(user, NOW + 29 * MINUTE)).seen == ("a", "b")
        assert (await state.read(user, NOW + 31 * MINUTE)).seen == ()

    async def test_where_a_user_asked_for_the_newest_page_is_known(
        self, state: OnlineState, hide: Hide, user: str
    ) -> None:
        await hide([])
        assert await state.regions([]) == []
        await state.commit(draft(user, "a", k=1), NOW)
        assert await state.regions([user, f"{user}'s friend"]) == ["CN", ""]
        await state.commit(replace(draft(user, "b", k=1), region="US"), NOW)
        await state.commit(replace(draft(user, "c", k=1), region=""), NOW)
        assert await state.regions([user]) == ["US"]

    async def test_nothing_of_a_barred_user_is_kept(
        self, state: OnlineState, hide: Hide, bar: Bar, user: str
    ) -> None:
        await hide([])
        await bar(f"subject of {user}")
        theirs = logged(user, Behaviour("a", "like", 1))._replace(subject=f"subject of {user}")
        other = logged(user + "'s friend", Behaviour("a", "like", 1))
        with pytest.raises(BarredEventsError) as refused:
            await state.append([other, theirs], [], NOW)
        assert refused.value.positions == (1,)
        page = replace(draft(user, "a", k=1), subject=f"subject of {user}")
        with pytest.raises(BarredUserError):
            await state.commit(page, NOW)
        assert await state.read(user, NOW) == UserState()
        assert await state.regions([user]) == [""]
        assert await state.read(user + "'s friend", NOW) == UserState()

    async def test_it_says_that_it_answers(self, state: OnlineState) -> None:
        assert await state.reachable()
