import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from serving.feed.exposure import Move, Step
from serving.live.event_stream import StreamLimits
from serving.live.exposure import WHOLE_MS, ExposureLadder, LadderCopy, Rung
from serving.live.mirror import encode_rows
from serving.live.pages import SEQUENCE, VISIBILITY, Candidate, Impression, PageDraft, Pages
from serving.records.status import EVERYONE, StatusRow

NOW = 1_800_000_000_000
MINUTE = 60_000
Body = Callable[[Any], Awaitable[None]]
Run = Callable[[Body], None]


def draft(item_id: str, request_id: str) -> PageDraft:
    candidates = [Candidate(item_id, "c", b"{}", True)]
    return PageDraft(request_id, request_id, "CN", "all", 1, b"{}", candidates)


async def ready(client: Any) -> tuple[Pages, ExposureLadder]:
    await client.set(SEQUENCE, 1)
    return Pages(client, StreamLimits()), ExposureLadder(client, 90 * 1440 * MINUTE)


def test_an_item_is_opened_once(with_client: Run) -> None:
    async def body(client: Any) -> None:
        _, ladder = await ready(client)
        assert await ladder.open("a", "c", 100, NOW)
        assert not await ladder.open("a", "c", 500, NOW + 1)
        (rung,) = await ladder.rungs(["a", "unknown"], NOW)
        assert (rung.tier, rung.budget, rung.opened_ms, rung.first) == (0, 100, NOW, 100)
        assert await ladder.item_ids() == ["a"]

    with_client(body)


def test_reserved_seen_and_liked_is_counted_once_a_person(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages, ladder = await ready(client)
        await ladder.open("a", "c", 3, NOW)
        for n in range(3):
            assert (await pages.commit(draft("a", f"r{n}"), NOW)).kept == (0,)
        assert (await pages.commit(draft("a", "r3"), NOW)).spent == (0,)
        told = [
            Impression("u0", "a", "r0"),
            Impression("u0", "a", "", reaction="completion"),
            Impression("u1", "a", "r1"),
            Impression("u2", "off the ladder", "", reaction="like"),
        ]
        for _ in range(2):
            await pages.note(told, NOW)
        (rung,) = await ladder.rungs(["a"], NOW)
        assert (rung.confirmed, rung.held, rung.viewers) == (2, 1, 2)
        assert rung.reactions == (1, 0, 0, 0, 0)
        (counted_less,) = await ladder.rungs(["a"], NOW, evidence=False)
        assert counted_less == rung._replace(viewers=0, reactions=(0, 0, 0, 0, 0))
        (later,) = await ladder.rungs(["a"], NOW + 31 * MINUTE)
        assert (later.confirmed, later.held) == (2, 0)
        assert not [key async for key in client.scan_iter("evidence:off*")]

    with_client(body)


def test_a_decision_holds_only_where_it_was_made(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages, ladder = await ready(client)
        await ladder.open("a", "c", 100, NOW)
        up = Move("a", Step.PROMOTED, 0, 1, 200)
        done = await asyncio.gather(*(ladder.move(up, "c", NOW) for _ in range(4)))
        assert sorted(done) == [False, False, False, True]
        assert (await ladder.rungs(["a"], NOW))[0].budget == 200
        assert await ladder.move(Move("a", Step.DEMOTED, 1, 1, 7), "c", NOW)
        assert not await ladder.move(Move("a", Step.DEMOTED, 1, 1, 7), "c", NOW)
        assert [move["step"] for move in await ladder.moves_of("a")] == [
            "opened",
            "promoted",
            "demoted",
        ]
        assert (await pages.commit(draft("a", "r"), NOW)).spent == (0,)
        assert await ladder.move(Move("a", Step.PROMOTED, 1, 2, 800), "c", NOW)
        assert (await pages.commit(draft("a", "r"), NOW)).kept == (0,)

    with_client(body)


def test_what_falls_keeps_what_was_served_while_it_was_judged(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages, ladder = await ready(client)
        await ladder.open("a", "c", 100, NOW)
        await pages.commit(draft("a", "r0"), NOW - 31 * MINUTE)  # released meanwhile
        for n in range(1, 4):
            await pages.commit(draft("a", f"r{n}"), NOW)
        await pages.note([Impression("u", "a", "r1")], NOW)
        assert await ladder.move(Move("a", Step.DEMOTED, 0, 0, 1), "c", NOW)
        (rung,) = await ladder.rungs(["a"], NOW)
        assert (rung.confirmed, rung.held, rung.budget) == (1, 2, 3)

    with_client(body)


def test_what_has_had_its_time_speaks_for_its_creator(with_client: Run) -> None:
    async def body(client: Any) -> None:
        _, ladder = await ready(client)
        for n in range(4):
            await ladder.open(f"i{n}", "c", 100, NOW)
            await ladder.move(Move(f"i{n}", Step.PROMOTED, 0, 1, 200), "c", NOW)
            await ladder.move(Move(f"i{n}", Step.EXPIRED, 1, 1, 200), "c", NOW)
            assert not await ladder.move(Move(f"i{n}", Step.EXPIRED, 1, 1, 200), "c", NOW)
        assert await ladder.standings(["c", "nobody"]) == [0.5, 0.0]
        assert await ladder.item_ids() == []
        assert (await ladder.rungs(["i0"], NOW))[0].closed

    with_client(body)


def test_one_replica_decides_until_it_falls_silent(with_client: Run) -> None:
    async def body(client: Any) -> None:
        _, ladder = await ready(client)
        assert await ladder.promotes("one", 50)
        assert not await ladder.promotes("two", 50)
        assert await ladder.promotes("one", 50)
        await asyncio.sleep(0.1)
        assert await ladder.promotes("two", 50)

    with_client(body)


@pytest.mark.parametrize("status", ["limited", "hidden"])
def test_what_is_limited_is_not_spread(with_client: Run, status: Any) -> None:
    async def body(client: Any) -> None:
        pages, ladder = await ready(client)
        await ladder.open("a", "c", 100, NOW)
        row = StatusRow("item:a", EVERYONE, status, True, 1, 1)
        await client.hset(VISIBILITY, "item:a", encode_rows([row]))
        assert (await pages.commit(draft("a", "r"), NOW)).kept == ()
        assert (await ladder.rungs(["a"], NOW))[0].held == 0

    with_client(body)


class Watched(ExposureLadder):
    """A ladder that notes which items a look reads."""

    asked: list[str]

    async def rungs(
        self, item_ids: Sequence[str], now_ms: int, evidence: bool = True
    ) -> list[Rung]:
        self.asked = list(item_ids)
        return await super().rungs(item_ids, now_ms, evidence)


def test_a_look_reads_only_what_may_have_changed(with_client: Run) -> None:
    async def body(client: Any) -> None:
        await client.set(SEQUENCE, 1)
        pages, ladder = Pages(client, StreamLimits(held_ms=5_000)), Watched(client, 90 * MINUTE)
        copy = LadderCopy(ladder)

        async def read(now_ms: int, evidence: bool = True) -> list[str]:
            found = await copy.look(now_ms, evidence)
            asked = ladder.asked
            assert found == await ladder.rungs(await ladder.item_ids(), now_ms, evidence)
            return asked

        for item_id in ("a", "b", "c"):
            await ladder.open(item_id, "c", 3, NOW)
        assert await read(NOW, evidence=False) == ["a", "b", "c"]
        assert await read(NOW, evidence=True) == ["a", "b", "c"]
        assert await read(NOW) == []
        await pages.commit(draft("a", "r0"), NOW)
        assert await read(NOW) == ["a"]
        await pages.note([Impression("u", "b", "", reaction="like")], NOW)
        assert await read(NOW) == ["b"]
        await pages.note([Impression("u", "b", "", reaction="like")], NOW)
        assert await read(NOW) == []
        await pages.note([Impression("u", "a", "r0")], NOW)
        await pages.commit(draft("b", "r1"), NOW)
        assert await read(NOW) == ["a", "b"]
        assert await read(NOW + 5_000) == ["b"]
        await ladder.move(Move("c", Step.EXPIRED, 0, 0, 3), "c", NOW)
        await ladder.open("d", "c", 3, NOW)
        assert await read(NOW + 5_000) == ["d"]
        assert await read(NOW + WHOLE_MS) == ["a", "b", "d"]

    with_client(body)


def test_a_look_notices_that_the_state_was_emptied(with_client: Run) -> None:
    async def body(client: Any) -> None:
        _, ladder = await ready(client)
        copy = LadderCopy(ladder)
        for item_id in ("a", "b"):
            await ladder.open(item_id, "c", 3, NOW)
        await copy.look(NOW, evidence=False)
        await client.flushall()
        await ladder.open("a", "c", 7, NOW)
        assert [rung.budget for rung in await copy.look(NOW, evidence=False)] == [7]

    with_client(body)
