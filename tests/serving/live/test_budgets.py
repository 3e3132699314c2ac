"""Exposure budgets: never above the grant, whatever is served, seen, lost or released."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serving.feed.budgets import Budgets
from serving.live.event_stream import StreamLimits
from serving.live.exposure import ExposureLadder
from serving.live.pages import SEQUENCE, Candidate, Impression, PageDraft, Pages

HELD_MS = 30 * 60_000
Body = Callable[[Any], Awaitable[None]]
Run = Callable[[Body], None]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 30)),
        st.tuples(st.just("confirm"), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.integers(0, HELD_MS)),
        st.tuples(st.just("grant"), st.integers(0, 12)),
    ),
    max_size=120,
)


@given(steps)
def test_reserved_and_confirmed_never_exceed_the_grant(taken: list[tuple[str, int]]) -> None:
    budgets, now_ms, highest, confirmed = Budgets(HELD_MS), 0, 0, 0
    for step, number in taken:
        if step == "grant":
            budgets.grant("a", number)
            highest = max(highest, number)
        elif step == "reserve":
            before = budgets.used("a", now_ms)
            if budgets.reserve("a", f"r{number}", now_ms):
                assert budgets.used("a", now_ms) <= before + 1
        elif step == "confirm":
            confirmed += budgets.confirm("a", f"r{number}")
        else:
            now_ms += number
        assert budgets.used("a", now_ms) <= highest
        assert budgets.confirmed("a") == confirmed
    assert budgets.held("a", now_ms + HELD_MS) == 0


@given(st.integers(1, 20), st.integers(0, 20))
def test_what_is_released_can_be_served_again(budget: int, seen: int) -> None:
    budgets = Budgets(HELD_MS)
    budgets.grant("a", budget)
    served = [n for n in range(3 * budget) if budgets.reserve("a", f"r{n}", 0)]
    assert served == list(range(budget))
    told = sum(budgets.confirm("a", f"r{n}") for n in range(seen))
    again = sum(budgets.reserve("a", f"s{n}", HELD_MS) for n in range(3 * budget))
    assert (told, again) == (min(seen, budget), budget - told)


def test_the_script_and_the_process_keep_the_same_account(with_client: Run) -> None:
    async def body(client: Any) -> None:
        await client.set(SEQUENCE, 1)
        pages, ladder = Pages(client, StreamLimits()), ExposureLadder(client, 10 * HELD_MS)
        budgets, chance, now_ms = Budgets(HELD_MS), random.Random(3), 1_800_000_000_000
        for item in ("a", "b"):
            await ladder.open(item, "c", 15, now_ms)
            budgets.grant(item, 15)
        for n in range(300):
            item = chance.choice("ab")
            now_ms += chance.randrange(120_000)
            if chance.random() < 0.6:
                draft = PageDraft(
                    f"n{n}", "", "CN", "all", 1, b"{}", [Candidate(item, "c", b"{}", True)]
                )
                kept = (await pages.commit(draft, now_ms)).kept
                assert bool(kept) == budgets.reserve(item, f"n{n}", now_ms)
            else:
                request = f"n{chance.randrange(max(n, 1))}"
                await pages.note([Impression("u", item, request)], now_ms)
                budgets.confirm(item, request)
            for rung in await ladder.rungs(["a", "b"], now_ms):
                assert rung.held == budgets.held(rung.item_id, now_ms)
                assert rung.confirmed == budgets.confirmed(rung.item_id)

    with_client(body)
