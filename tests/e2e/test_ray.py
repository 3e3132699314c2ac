import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from serving.child_process import alive
from tests.e2e.host_contract import HostContract
from tests.e2e.server import Server, family, running

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def server(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ExitStack() as stack:
        environ = stack.enter_context(pytest.MonkeyPatch.context())
        environ.setenv("TIDEGATE__RAY__REPLICAS", "2")
        try:
            server = stack.enter_context(running("ray", bundles, tmp_path_factory.mktemp("ray")))
        except AssertionError:  # a loaded machine may exceed Ray's own start-up limit of 30 s
            server = stack.enter_context(running("ray", bundles, tmp_path_factory.mktemp("ray")))
        yield server


class TestRay(HostContract):
    pass


def test_the_launcher_lists_what_ray_opened(server: Server) -> None:
    assert "other machines reach these ports" in server.output
    assert "(haproxy)" in server.output


def test_it_stops_cleanly_and_leaves_nothing_running(server: Server) -> None:
    members = family(server.process.pid)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0, server.output
    assert server.output.rstrip().endswith("stopped")
    assert "Traceback" not in server.output
    deadline = time.monotonic() + 10
    while left := [member for member in members if alive(member)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
