import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embeddings.feed_model import KIND
from models.bundle import current, make_current, publish
from serving.app import Settings, build
from serving.bundles.publishing import activate_published
from serving.feed_bundle import load_bundle
from serving.hot_swap import SwapLimits, adopt_published, connect, feed_seat, in_turn
from tests.feed_bundles import make_feed_bundle
from tests.memory_state import MemoryState
from tests.serving.api.conftest import Client, Served
from tests.serving.bundles.boards import MemoryBoard


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two published bundles; the first is current."""
    folder = tmp_path_factory.mktemp("two")
    versions = []
    for seed in (1, 2):
        make_feed_bundle(folder / f"made-{seed}", 60, seed=seed)
        versions.append(publish(folder / f"made-{seed}", folder / "bundles", KIND).name)
    make_current(folder / "bundles", KIND, versions[0])
    return folder / "bundles"


@pytest.fixture
def served(settings: Settings, root: Path) -> Iterator[Served]:
    """An app with one follower, which only moves when it is asked to."""
    serving = settings.serving.model_copy(update={"bundles": root})
    app = build(replace(settings, serving=serving), MemoryState(), process="test")
    services = app.state.services
    rules = services.rules(None)
    adopt_published(services.stores, root)
    seat = feed_seat(services, lambda version: load_bundle(root / KIND / version, rules))
    connect(services, KIND, MemoryBoard(), seat, SwapLimits(root, 20.0))
    client = Client(app)
    yield Served(client, app, settings.serving.log.folder / "test.jsonl")
    client.close()
    services.stores.close()


def while_following(served: Served, path: str) -> tuple[int, dict[str, object]]:
    """Ask while the app's background tasks run, and a little longer."""

    async def body() -> tuple[int, dict[str, object]]:
        tasks = [asyncio.create_task(run()) for run in served.services.background]
        response = await served.client.http.post(path)
        await asyncio.sleep(0.6)
        for task in tasks:
            task.cancel()
        return response.status_code, response.json()

    return served.client.run(body())


def follow_until(served: Served, version: str) -> None:
    """Let the app's background tasks run until a version serves."""

    async def body() -> None:
        tasks = [asyncio.create_task(run()) for run in served.services.background]
        async with asyncio.timeout(60):
            while served.services.bundle.version != version:
                await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()

    served.client.run(body())


def versions(served: Served) -> list[str]:
    found = served.client.get("/v1/admin/bundles").json()["bundles"]
    return [version["version"] for version in found[0]["versions"]]


def test_both_bundles_and_the_pointer_are_listed(served: Served) -> None:
    [kind] = served.client.get("/v1/admin/bundles").json()["bundles"]
    assert kind["kind"] == KIND
    assert kind["pointer"]["version"] == served.services.bundle.version
    assert len(kind["versions"]) == 2
    assert kind["replicas"] == []


def test_activation_and_roll_back_change_what_serves(served: Served, root: Path) -> None:
    first = served.services.bundle.version
    [second] = set(versions(served)) - {first}
    for version in (second, first):
        status, answer = while_following(served, f"/v1/admin/bundles/{KIND}/{version}/activate")
        assert (status, answer["kind"]) == (200, KIND)
        assert served.services.bundle.version == current(root, KIND).name == version
        page = served.client.post("/v1/feed", json={"user_id": "u"}).json()
        assert page["bundle"] == version
        text = served.client.get("/metrics").text
        [replica] = served.client.get("/v1/admin/bundles").json()["bundles"][0]["replicas"]
        assert replica["staging_s"] > 0
        assert [line for line in text.splitlines() if line.startswith("tidegate_bundle{")] == [
            f'tidegate_bundle{{version="{version}"}} 1.0'
        ]


def test_a_damaged_bundle_changes_nothing_and_is_named(served: Served, root: Path) -> None:
    first = served.services.bundle.version
    [second] = set(versions(served)) - {first}
    path = root / KIND / second / "popularity.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        status, answer = while_following(served, f"/v1/admin/bundles/{KIND}/{second}/activate")
    finally:
        path.write_bytes(whole)
    assert status == 409
    error = answer["error"]
    assert isinstance(error, dict)
    assert error["code"] == "not_activated"
    assert "popularity.npy" in error["details"][0]["message"]
    assert served.services.bundle.version == current(root, KIND).name == first
    [replica] = served.client.get("/v1/admin/bundles").json()["bundles"][0]["replicas"]
    assert (replica["serving"], replica["staged"]) == (first, None)
    assert "popularity.npy" in replica["fault"]


@pytest.mark.parametrize(
    ("kind", "version", "field"),
    [("feed", "20990101-none", "version"), ("posters", "x", "kind"), ("feed", "..", "version")],
)
def test_what_is_not_published_is_not_found(
    served: Served, kind: str, version: str, field: str
) -> None:
    path = f"/v1/admin/bundles/{kind}/{version.replace('.', '%2E')}/activate"
    error = served.client.post(path).json()["error"]
    assert (error["code"], error["details"][0]["field"]) == ("unknown_bundle", field)


def test_what_is_published_by_command_comes_to_serve(served: Served, root: Path) -> None:
    first = served.services.bundle.version
    [second] = set(versions(served)) - {first}
    make_current(root, KIND, second)
    later = time.time() + 1
    os.utime(root / KIND / "CURRENT", (later, later))
    try:
        follow_until(served, second)
        pointer = served.services.stores.bundles.current("feed")
        assert pointer is not None
        assert pointer.version == second
    finally:
        make_current(root, KIND, first)


def test_a_published_bundle_that_cannot_be_staged_is_taken_back(served: Served, root: Path) -> None:
    first = served.services.bundle.version
    [second] = set(versions(served)) - {first}
    make_current(root, KIND, second)
    later = time.time() + 1
    os.utime(root / KIND / "CURRENT", (later, later))
    activator = served.services.activators[KIND]
    pointers = activator.pointers
    path = root / KIND / second / "popularity.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:

        async def body() -> None:
            follow = asyncio.create_task(served.services.background[0]())
            await activate_published(activator, pointers)  # type: ignore[arg-type]
            follow.cancel()

        served.client.run(body())
    finally:
        path.write_bytes(whole)
    assert current(root, KIND).name == served.services.bundle.version == first


def test_one_process_of_a_machine_stages_at_a_time(tmp_path: Path) -> None:
    busy: list[str] = []
    together: list[int] = []

    def stage(version: str) -> None:
        with in_turn(tmp_path):
            busy.append(version)
            together.append(len(busy))
            time.sleep(0.02)
            busy.remove(version)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(stage, "abcd"))
    assert together == [1, 1, 1, 1]


def test_later_items_are_staged_with_the_item_tower_of_the_bundle_to_come(
    served: Served, root: Path
) -> None:
    services = served.services
    item = {"item_id": "late", "kind": "video", "creator_id": "c", "title": "quick red lamp"}
    body = {"items": [item | {"published_at_ms": 1}]}
    assert served.client.request("PUT", "/v1/items", json=body).status_code == 200
    rules = services.rules(None)
    seat = feed_seat(services, lambda version: load_bundle(root / KIND / version, rules))
    for version in versions(served):
        model = seat.stage(version).items.model
        row = model.vocabulary.row("late")
        assert row == len(model.bundle.vocabulary)
        expected = model.bundle.embed([item])[1][0]
        np.testing.assert_allclose(
            model.retrieval_vectors[np.array([row])][0], expected, rtol=1e-4, atol=1e-5
        )
