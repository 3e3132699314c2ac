"""A real state server, as the launcher starts it, shared by the session."""

from collections.abc import Iterator

import pytest

from serving.live.supervisor import StateServer


@pytest.fixture(scope="session")
def live_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = StateServer(tmp_path_factory.mktemp("live"), fsync="everysec")
    server.start()
    yield server.url
    server.stop()
