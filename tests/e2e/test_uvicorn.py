from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.host_contract import HostContract
from tests.e2e.server import Server, alive, family, running


@pytest.fixture(scope="module")
def server(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("uvicorn", bundles, tmp_path_factory.mktemp("uvicorn")) as server:
        yield server


class TestUvicorn(HostContract):
    pass


def test_it_stops_cleanly_and_leaves_nothing_running(bundles: Path, tmp_path: Path) -> None:
    with running("uvicorn", bundles, tmp_path) as server:
        members = family(server.process.pid)
        assert server.state_process_id in members
    assert server.process.returncode == 0, server.output
    assert server.output.rstrip().endswith("stopped")
    assert "Traceback" not in server.output
    assert not [member for member in members if alive(member)]
