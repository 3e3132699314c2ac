import asyncio
import json
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import FastAPI

from serving.api.services import Services
from serving.app import Settings, build
from serving.live.memory_state import MemoryState

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
