import logging
import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from configs.schema import RaySection
from models.bundle import MANIFEST, current, read_manifest, seal
from serving.__main__ import main, parsed
from serving.listeners import Listener, reachable_listeners, settled_listeners
from serving.ray_environment import ray_environment
from tests.conftest import SERVING_CONFIG
from tests.feed_bundles import make_feed_bundle


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIDEGATE__STATE__FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("TIDEGATE__ARCHIVE__LOCATION", str(tmp_path / "archive"))
    monkeypatch.setenv("TIDEGATE__LOG__FOLDER", str(tmp_path / "log"))
    monkeypatch.setenv("TIDEGATE__RECORDS__FOLDER", str(tmp_path / "records"))
    monkeypatch.setenv("TIDEGATE__RECORDS__SECRETS", str(tmp_path / "secrets"))
    monkeypatch.setenv("TIDEGATE__FEEDS", str(SERVING_CONFIG.parent / "feeds"))
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def refused(caplog: pytest.LogCaptureFixture, *arguments: str) -> str:
    """Start with these arguments; return what the launcher says when it does not."""
    with caplog.at_level(logging.INFO, "tidegate"):
        assert main(["--config", str(SERVING_CONFIG), "--host", "uvicorn", *arguments]) == 1
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1
    assert said[0].startswith("cannot start: ")
    return said[0]


def published_copy(bundles: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the published bundles, and the folder of the current one in it."""
    copy = tmp_path / "copy"
    shutil.copytree(bundles, copy)
    return copy, current(copy, "feed")


def test_without_a_bundle_it_names_the_command_that_makes_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = refused(caplog, "--bundles", str(tmp_path / "none"))
    assert str(tmp_path / "none" / "feed") in said
    assert "make demo" in said
    assert "python -m training.publish --bundle" in said
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["index.faiss", "user_tower.onnx", "history_vectors.npy"])
def test_a_damaged_file_is_named(
    bundles: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    copy, folder = published_copy(bundles, tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert str(folder / name) in refused(caplog, "--bundles", str(copy))


def test_towers_and_index_that_disagree_are_told(
    bundles: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy, folder = published_copy(bundles, tmp_path)
    make_feed_bundle(tmp_path / "other", 200, seed=9)
    shutil.copy(tmp_path / "other" / "index.faiss", folder / "index.faiss")
    draft = read_manifest(folder)
    (folder / MANIFEST).unlink()
    seal(folder, draft.model_copy(update={"files": {}, "version": "draft"}))
    said = refused(caplog, "--bundles", str(copy))
    assert "disagree" in said
    assert "index.faiss" in said


def test_a_taken_port_is_named(
    bundles: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused(caplog, "--bundles", str(bundles), "--port", str(port))
    assert f"port {port} on 127.0.0.1" in said
    assert "--port" in said
    assert not (tmp_path / "state").exists()


def test_a_wrong_setting_is_named_with_its_limit(
    bundles: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE__SPREAD__WINDOW", "0")
    said = refused(caplog, "--bundles", str(bundles))
    assert "TIDEGATE__SPREAD__WINDOW" in said
    assert "greater than or equal to 1" in said


def test_a_state_url_of_no_known_scheme_is_named(
    bundles: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE__STATE__URL", "http://127.0.0.1")
    assert "state.url = 'http://127.0.0.1'" in refused(caplog, "--bundles", str(bundles))


def test_missing_configuration_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE__FEEDS", str(tmp_path))
    assert f"{tmp_path}: default.yaml is missing" in refused(caplog)
    caplog.clear()
    assert str(tmp_path / "no.yaml") in refused(caplog, "--config", str(tmp_path / "no.yaml"))


@pytest.mark.parametrize("port", ["-1", "65536", "http", "8000.5"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed([f"--port={port}"])
    assert f"'{port}' is no port; expected 0 to 65535" in capsys.readouterr().err


def test_the_environment_of_ray_follows_the_settings() -> None:
    section = RaySection(stats_port=1234, metrics_port=2345, replica_first_port=20_000)
    found = ray_environment(section)
    assert found["RAY_SERVE_HAPROXY_STATS_PORT"] == "1234"
    assert found["RAY_SERVE_HAPROXY_METRICS_PORT"] == "2345"
    assert found["RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT"] == "21000"
    assert found["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


def test_every_variable_of_ray_is_one_that_ray_reads() -> None:
    package = find_spec("ray")
    assert package is not None
    assert package.origin is not None
    constants = (Path(package.origin).parent / "serve" / "_private" / "constants.py").read_text()
    names = [name for name in ray_environment(RaySection()) if name.startswith("RAY_SERVE")]
    assert names
    assert not [name for name in names if f'"{name}"' not in constants]


def test_listeners_beyond_loopback_are_found() -> None:
    with socket.socket() as outside, socket.socket() as inside:
        outside.bind(("0.0.0.0", 0))  # noqa: S104
        outside.listen()
        inside.bind(("127.0.0.1", 0))
        inside.listen()
        found = {listener.port: listener for listener in reachable_listeners(os.getpid())}
        port = outside.getsockname()[1]
        assert found[port] == Listener(port, "0.0.0.0", found[port].program)  # noqa: S104
        assert inside.getsockname()[1] not in found


def test_a_program_that_listens_a_little_later_is_waited_for() -> None:
    program = Path("/proc/self/comm").read_text().strip()
    with socket.socket() as outside:
        outside.bind(("0.0.0.0", 0))  # noqa: S104
        threading.Timer(0.3, outside.listen).start()
        found = settled_listeners(os.getpid(), program)
        assert outside.getsockname()[1] in {listener.port for listener in found}
        assert settled_listeners(os.getpid(), "haproxy", limit_s=0.1) == found
