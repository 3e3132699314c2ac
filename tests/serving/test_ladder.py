"""One replica's ladder over a real state server: from an upload to its first places."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.exposure import ExposureConfig
from embeddings.content import content_of
from embeddings.feed_model import load_feed_model
from serving.feed.audience import LadderExploration
from serving.feed.contracts import FeedRequest
from serving.feed.limits import audience_rules, ladder_rules
from serving.ladder import KEPT_MS, LadderKeeper, OfItems
from serving.live.event_stream import StreamLimits
from serving.live.exposure import ExposureLadder
from serving.live.mirror import VisibilityMirror, encode_rows
from serving.live.pages import Impression, Pages
from serving.live.state import StateUnreachableError
from serving.live_items import LiveItems, shelf_of
from serving.records.status import EVERYONE, StatusRow

NOW = 1_800_000_000_000
HOUR_MS = 3_600_000
Body = Callable[[Any], Awaitable[None]]
Run = Callable[[Body], None]
CONFIG = ExposureConfig()


def upload(items: LiveItems, item_id: str, **fields: Any) -> None:
    record = {"item_id": item_id, "creator_id": "c", "kind": "video", "category": "a/b"} | fields
    (row,) = items.model.put(items.model.embed(content_of([record]))).tolist()
    items.shelf.facts.put(row, {"published_at_ms": NOW - 1_000} | record)


@pytest.fixture
def items(bundles: Path) -> LiveItems:
    model = load_feed_model(next((bundles / "feed").glob("[0-9]*")))
    live = LiveItems(model, shelf_of(model))
    live.shelf.facts.column("published_at_ms")[:] = NOW - 400 * HOUR_MS
    return live


def keeper_of(client: Any, items: LiveItems, clock: list[int]) -> LadderKeeper:
    mirror = VisibilityMirror()
    mirror.replace(1, {})
    mirror.renew(time.monotonic())
    exploration = LadderExploration(np.random.default_rng(0))
    of_items = OfItems(items.model, items.shelf, exploration)
    return LadderKeeper(
        ladder=ExposureLadder(client, KEPT_MS),
        rules=replace(ladder_rules(CONFIG), first={"S": 9, "": 5}, least_impressions=20),
        match=audience_rules(CONFIG),
        serving=lambda: of_items,
        mirror=mirror,
        clock_ms=lambda: clock[0],
        interval_s=1.0,  # a lease on deciding that no busy machine outlasts
    )


def drawn(keeper: LadderKeeper, items: LiveItems) -> set[str]:
    request = FeedRequest(k=10, now_ms=NOW)
    exploration = keeper.serving().exploration
    rows, _ = exploration.draw(request, None, lambda rows: np.ones(len(rows), bool), 10)
    return {items.model.vocabulary.item_id(row) for row in rows.tolist()}


def test_a_new_visible_item_gets_its_first_audience(with_client: Run, items: LiveItems) -> None:
    async def body(client: Any) -> None:
        upload(items, "new")
        upload(items, "graded", shop_grade="S", creator_id="d")
        upload(items, "old", published_at_ms=NOW - 100 * HOUR_MS)
        upload(items, "planned", published_at_ms=NOW + HOUR_MS)
        upload(items, "limited")
        keeper = keeper_of(client, items, [NOW])
        row = StatusRow("item:limited", EVERYONE, "limited", True, 1, 2)
        keeper.mirror.apply(2, {"item:limited": encode_rows([row])})
        await keeper.look()
        assert not drawn(keeper, items)
        await keeper.look()
        assert drawn(keeper, items) == {"new", "graded"}
        rungs = await keeper.ladder.rungs(["new", "graded"], NOW)
        assert [rung.budget for rung in rungs] == [5, 9]
        new = items.model.vocabulary.row("new")
        assert new is not None
        assert keeper.serving().exploration.tier(new) == 5

    with_client(body)


def test_nothing_is_opened_before_visibility_is_known(with_client: Run, items: LiveItems) -> None:
    async def body(client: Any) -> None:
        upload(items, "limited")
        keeper = keeper_of(client, items, [NOW])
        read, keeper.mirror = keeper.mirror, VisibilityMirror()
        await keeper.look()
        assert not await keeper.ladder.item_ids()
        keeper.mirror = read
        await keeper.look()
        assert await keeper.ladder.item_ids() == ["limited"]

    with_client(body)


def test_what_people_like_climbs_and_time_ends_it(with_client: Run, items: LiveItems) -> None:
    async def body(client: Any) -> None:
        for name in ("liked", "plain", "dull"):
            upload(items, name)
        clock = [NOW]
        keeper = keeper_of(client, items, clock)
        await keeper.look()
        pages, likes = Pages(client, StreamLimits()), {"liked": 90, "plain": 30, "dull": 5}
        for name, count in likes.items():
            seen = [Impression(f"u{n}", name, "") for n in range(100)]
            done = [Impression(f"u{n}", name, "", reaction="completion") for n in range(count)]
            await client.hset(f"exposure:{name}", "confirmed", 5)
            await pages.note(seen + done, NOW)
        await keeper.look()
        rungs = {rung.item_id: rung for rung in await keeper.ladder.rungs([*likes], NOW)}
        assert (rungs["liked"].tier, rungs["liked"].budget) == (1, 1_000)
        assert (rungs["plain"].tier, rungs["dull"].tier) == (0, 0)
        clock[0] = NOW + keeper.rules.lifetime_ms
        await keeper.look()
        assert await keeper.ladder.item_ids() == []
        assert (await keeper.ladder.standings(["c"]))[0] < 0

    with_client(body)


def test_without_the_state_there_are_no_places(with_client: Run, items: LiveItems) -> None:
    async def body(client: Any) -> None:
        upload(items, "new")
        keeper = keeper_of(client, items, [NOW])
        await keeper.look()
        await keeper.look()
        assert drawn(keeper, items) == {"new"}

        async def away() -> list[str]:
            raise StateUnreachableError("gone")

        keeper.ladder.item_ids = away  # type: ignore[method-assign]
        task = asyncio.create_task(keeper.keep())
        await asyncio.sleep(0.05)
        assert not drawn(keeper, items)
        task.cancel()

    with_client(body)
