import asyncio
import json
import shutil
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import FastAPI

from models.bundle import publish
from serving.api.services import Services
from serving.app import Settings, build
from tests.conftest import settings_in
from tests.memory_state import MemoryState

T = TypeVar("T")


class Client:
    """HTTP to an app in this process, without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://test")

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.run(self.http.request(method, path, **options))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def close(self) -> None:
        self.run(self.http.aclose())
        self._runner.close()


@dataclass(frozen=True)
class Served:
    """The app with a client, its parts and its access log."""

    client: Client
    app: FastAPI
    log: Path

    @property
    def services(self) -> Services:
        services: Services = self.app.state.services
        return services

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    app = build(settings, MemoryState(), process="test")
    mirror = app.state.services.mirror
    mirror.replace(0, {})
    mirror.renew(float("inf"))  # no lease is kept in these tests
    client = Client(app)
    yield Served(client, app, settings.serving.log.folder / "test.jsonl")
    client.close()
    app.state.services.stores.close()


@pytest.fixture
def moderated(
    settings: Settings, bundles: Path, moderation_bundle: Path, tmp_path: Path
) -> Iterator[Served]:
    """The app with a moderation bundle of its own beside the feed's."""
    with moderating(settings, bundles, moderation_bundle, tmp_path) as app:
        yield app


@pytest.fixture(scope="module")
def judging(
    bundles: Path,
    migrated_records: Path,
    moderation_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """The same for a whole file of tests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("judging")
    settings = settings_in(folder, bundles, migrated_records)
    with moderating(settings, bundles, moderation_bundle, folder) as app:
        yield app


@contextmanager
def moderating(
    settings: Settings, bundles: Path, moderation_bundle: Path, folder: Path
) -> Iterator[Served]:
    """The app over a copy of some bundles that has a moderation bundle, too."""
    shutil.copytree(bundles, folder / "bundles", symlinks=True)
    publish(moderation_bundle, folder / "bundles", "moderation")
    serving = settings.serving.model_copy(update={"bundles": folder / "bundles"})
    app = build(replace(settings, serving=serving), MemoryState(), process="test")
    client = Client(app)
    yield Served(client, app, settings.serving.log.folder / "test.jsonl")
    client.close()
    app.state.services.stores.close()
    app.state.services.moderation.close()
