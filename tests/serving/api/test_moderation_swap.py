"""The bundle of moderation changes like that of the feed, while texts are judged."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from embeddings.text_model import GOLDEN, KIND
from models.bundle import MANIFEST, current, make_current, publish, read_manifest, seal
from serving.app import Settings, build
from serving.hot_swap import SwapLimits, adopt_published, connect, moderation_seat
from serving.moderators import load_moderator
from tests.memory_state import MemoryState
from tests.serving.api.conftest import Client, Served
from tests.serving.bundles.boards import MemoryBoard

BODY = {"parts": [{"type": "text", "text": "a cup of tea"}]}


def other_version(folder: Path, made: Path) -> Path:
    """The same model with one golden text less, so under another version."""
    shutil.copytree(folder, made)
    draft = read_manifest(made).model_copy(update={"files": {}, "version": "draft"})
    (made / MANIFEST).unlink()
    golden = json.loads((made / GOLDEN).read_text())
    (made / GOLDEN).write_text(json.dumps({name: rows[:-1] for name, rows in golden.items()}))
    seal(made, draft)
    return made


@pytest.fixture
def served(
    settings: Settings, bundles: Path, moderation_bundle: Path, tmp_path: Path
) -> Iterator[Served]:
    """An app with two published moderation bundles, the first of them current."""
    root = tmp_path / "bundles"
    shutil.copytree(bundles, root, symlinks=True)
    first = publish(moderation_bundle, root, KIND).name
    publish(other_version(moderation_bundle, tmp_path / "made"), root, KIND)
    make_current(root, KIND, first)
    serving = settings.serving.model_copy(update={"bundles": root})
    app = build(replace(settings, serving=serving), MemoryState(), process="test")
    services = app.state.services
    adopt_published(services.stores, root)
    seat = moderation_seat(
        services,
        services.moderation,
        lambda version: load_moderator(serving, root / KIND / version),
    )
    connect(services, KIND, MemoryBoard(), seat, SwapLimits(root, 20.0))
    client = Client(app)
    yield Served(client, app, settings.serving.log.folder / "test.jsonl")
    client.close()
    services.moderation.close()
    services.stores.close()


def activate_under_load(served: Served, version: str) -> tuple[int, list[str]]:
    """Activate while texts are judged; the status, and the models that judged, in order."""
    http = served.client.http

    async def body() -> tuple[int, list[str]]:
        tasks = [asyncio.create_task(run()) for run in served.services.background]
        path = f"/v1/admin/bundles/{KIND}/{version}/activate"
        activation = asyncio.create_task(http.post(path))
        judged: list[str] = []
        while not activation.done() or judged[-1] != version:
            answer = await http.post("/v1/moderate", json=BODY)
            judged.append(answer.json()["versions"]["model"])
        for task in tasks:
            task.cancel()
        return activation.result().status_code, judged

    return served.client.run(asyncio.wait_for(body(), 60))


def versions(served: Served) -> list[str]:
    [kind] = served.client.get("/v1/admin/bundles").json()["bundles"]
    assert kind["kind"] == KIND
    return [version["version"] for version in kind["versions"]]


def test_texts_are_judged_by_the_bundle_that_was_activated(served: Served) -> None:
    root = served.services.activators[KIND].root
    first = current(root, KIND).name
    [second] = set(versions(served)) - {first}
    for before, version in ((first, second), (second, first)):
        status, judged = activate_under_load(served, version)
        assert status == 200
        assert set(judged) <= {before, version}
        assert judged == sorted(judged, key=(before, version).index)  # never back and forth
        assert current(root, KIND).name == version


def test_a_damaged_bundle_judges_nothing(served: Served) -> None:
    root = served.services.activators[KIND].root
    first = current(root, KIND).name
    [second] = set(versions(served)) - {first}
    (root / KIND / second / GOLDEN).write_text("{}")

    async def body() -> int:
        tasks = [asyncio.create_task(run()) for run in served.services.background]
        answer = await served.client.http.post(f"/v1/admin/bundles/{KIND}/{second}/activate")
        for task in tasks:
            task.cancel()
        return answer.status_code

    assert served.client.run(body()) == 409
    answer = served.client.post("/v1/moderate", json=BODY).json()
    assert answer["versions"]["model"] == current(root, KIND).name == first
