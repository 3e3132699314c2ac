import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from embeddings.feed_model import KIND
from models.bundle import current, publish
from serving.child_process import alive
from tests.e2e.host_contract import HostContract
from tests.e2e.server import Server, family, running
from tests.feed_bundles import make_feed_bundle


@pytest.fixture(scope="module")
def server(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("uvicorn", bundles, tmp_path_factory.mktemp("uvicorn")) as server:
        yield server


class TestUvicorn(HostContract):
    pass


def test_probes_and_metrics_stand_on_a_listener_of_their_own(server: Server) -> None:
    found = re.search(r"probes and metrics on (http://127\.0\.0\.1:\d+)", server.output)
    assert found, server.output
    with httpx.Client(base_url=found[1]) as internal:
        assert internal.get("/healthz").json() == {"status": "alive"}
        assert internal.get("/readyz").json()["state"] == "reachable"
        assert "tidegate_bundle" in internal.get("/metrics").text
        assert internal.post("/v1/feed", json={"user_id": "u"}).status_code == 404


def test_it_stops_cleanly_and_leaves_nothing_running(bundles: Path, tmp_path: Path) -> None:
    with running("uvicorn", bundles, tmp_path) as server:
        members = family(server.process.pid)
        assert server.state_process_id in members
    assert server.process.returncode == 0, server.output
    assert server.output.rstrip().endswith("stopped")
    assert "Traceback" not in server.output
    assert not [member for member in members if alive(member)]


def test_a_published_bundle_serves_without_a_restart(bundles: Path, tmp_path: Path) -> None:
    root = tmp_path / "bundles"
    shutil.copytree(bundles, root)
    first = current(root, KIND).name
    make_feed_bundle(tmp_path / "made", 200, seed=9)
    with running("uvicorn", root, tmp_path / "server") as server:
        second = publish(tmp_path / "made", root, KIND).name
        wait_for_bundle(server, second)
        path = f"/v1/admin/bundles/{KIND}/{first}/activate"
        assert server.http.post(path).json()["pointer"]["version"] == first
        wait_for_bundle(server, first)
    assert current(root, KIND).name == first


def wait_for_bundle(server: Server, version: str) -> None:
    deadline = time.monotonic() + 30
    while (answer := server.http.post("/v1/feed", json={"user_id": "u"})).json()[
        "bundle"
    ] != version:
        assert answer.status_code == 200
        assert time.monotonic() < deadline, server.output
        time.sleep(0.1)
