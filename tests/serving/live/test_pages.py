from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.live.event_stream import StreamLimits
from serving.live.mirror import VisibilityMirror, decode_rows, encode_rows
from serving.live.pages import (
    SEQUENCE,
    SHOWN_ITEMS,
    VISIBILITY,
    Candidate,
    Impression,
    PageDraft,
    Pages,
    VisibilityUnknownError,
)
from serving.records.status import EVERYONE, STATUSES, Scope, Status, StatusRow, resolve, servable

NOW = 1_800_000_000_000
MINUTE = 60_000
Run = Callable[[Callable[[Any], Any]], Any]


def draft(*names: str, k: int = 10, reserve: bool = False, request: str = "r1") -> PageDraft:
    candidates = [
        Candidate(name, f"c-{name}", b'{"i":"%s"}' % name.encode(), reserve) for name in names
    ]
    return PageDraft(request, "u1", "CN", "all", k, b'{"r":1}', candidates)


def row(subject: str, status: Status) -> StatusRow:
    return StatusRow(subject, EVERYONE, status, True, 1, 1)


async def hide(client: Any, *rows: StatusRow) -> Pages:
    await client.set(SEQUENCE, 7)
    for one in rows:
        await client.hset(VISIBILITY, one.subject, encode_rows([one]))
    return Pages(client, StreamLimits())


async def shown(client: Any, user_id: str, now_ms: int) -> set[str]:
    found = await client.zrangebyscore(f"shown:{user_id}", f"({now_ms}", "+inf")
    return {item.decode() for item in found}


def test_a_page_without_what_was_taken_down(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages = await hide(client, row("item:b", "hidden"), row("creator:c-d", "hidden"))
        page = await pages.commit(draft("a", "b", "c", "d", "e", "f", k=3), NOW)
        assert (page.sequence, page.kept, page.hidden) == (7, (0, 2, 4), (1, 3))
        ((_, entry),) = await client.xrange("events")
        assert entry[b"kind"] == b"served"
        assert entry[b"header"] == b'{"r":1}'
        assert entry[b"body"] == b'{"i":"a"}\n{"i":"c"}\n{"i":"e"}'

    with_client(body)


def test_what_was_served_counts_as_shown_for_a_while(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages = await hide(client)
        await pages.commit(draft("a", "b"), NOW)
        assert await shown(client, "u1", NOW + 29 * MINUTE) == {"a", "b"}
        assert await shown(client, "u1", NOW + 30 * MINUTE) == set()
        await client.zadd("shown:u1", {"a": NOW + 90 * MINUTE})
        await pages.commit(draft("a"), NOW)
        assert await shown(client, "u1", NOW + 60 * MINUTE) == {"a"}

    with_client(body)


def test_without_a_copy_of_visibility_nothing_is_served(with_client: Run) -> None:
    async def body(client: Any) -> None:
        with pytest.raises(VisibilityUnknownError):
            await Pages(client, StreamLimits()).commit(draft("a"), NOW)
        assert await client.xlen("events") == 0

    with_client(body)


def test_exposure_is_reserved_up_to_its_budget_and_released(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages = await hide(client)
        await client.hset("exposure:a", "budget", 2)
        for n in range(2):
            assert (await pages.commit(draft("a", reserve=True, request=f"r{n}"), NOW)).kept == (0,)
        assert (await pages.commit(draft("a", reserve=True, request="r9"), NOW)).spent == (0,)
        later = NOW + 31 * MINUTE
        assert (await pages.commit(draft("a", reserve=True, request="r9"), later)).kept == (0,)
        assert (await pages.commit(draft("x", reserve=True), NOW)).spent == (0,)

    with_client(body)


def test_an_impression_confirms_its_reservation_once(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages = await hide(client)
        await client.hset("exposure:a", "budget", 2)
        await pages.commit(draft("a", reserve=True), NOW)
        for _ in range(2):
            await pages.note([Impression("u1", "a", "r1"), Impression("u2", "b", "")], NOW)
        assert await client.hget("exposure:a", "confirmed") == b"1"
        assert await client.zcard("held:a") == 0
        assert await shown(client, "u1", NOW + 29 * 1440 * MINUTE) == {"a"}
        assert await shown(client, "u2", NOW + 31 * 1440 * MINUTE) == set()
        late = NOW + 40 * MINUTE
        assert (await pages.commit(draft("a", reserve=True, request="r2"), late)).kept == (0,)
        assert (await pages.commit(draft("a", reserve=True, request="r3"), late)).spent == (0,)
        await pages.note([], NOW)

    with_client(body)


def test_the_seen_memory_keeps_the_newest(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages = Pages(client, StreamLimits())
        for n in range(SHOWN_ITEMS // 500 + 1):
            seen = [Impression("u1", f"{n}-{m}", "") for m in range(500)]
            await pages.note(seen, NOW + n)
        kept = await shown(client, "u1", NOW)
        assert len(kept) == SHOWN_ITEMS
        assert "0-0" not in kept
        assert "4-499" in kept

    with_client(body)


def test_an_empty_page_logs_nothing(with_client: Run) -> None:
    async def body(client: Any) -> None:
        pages = await hide(client, row("item:a", "pending"))
        assert (await pages.commit(draft("a"), NOW)).kept == ()
        assert (await pages.commit(draft(), NOW)).kept == ()
        assert await client.xlen("events") == 0

    with_client(body)


rows = st.lists(
    st.builds(
        StatusRow,
        subject=st.just("item:a"),
        scope=st.builds(Scope, st.sampled_from(["*", "CN", "US"]), st.sampled_from(["*", "all"])),
        status=st.sampled_from(STATUSES),
        decided=st.booleans(),
        content_version=st.integers(1, 3),
        sequence=st.integers(1, 10**9),
    ),
    max_size=6,
    unique_by=lambda row: row.sequence,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows)
def test_script_mirror_and_records_agree(with_client: Run, given_rows: list[StatusRow]) -> None:
    async def body(client: Any) -> tuple[int, ...]:
        pages = await hide(client)
        if text:
            await client.hset(VISIBILITY, "item:a", text)
        return (await pages.commit(draft("a"), NOW)).kept

    text = encode_rows(given_rows)
    expected = servable(resolve(given_rows, "CN", "all"))
    assert (with_client(body) == (0,)) == expected
    mirror = VisibilityMirror()
    mirror.replace(1, {"item:a": text} if text else {})
    assert servable(mirror.status("a", "c", "CN", "all")) == expected
    if text:
        assert list(decode_rows("item:a", text)) == given_rows
