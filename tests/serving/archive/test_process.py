import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from serving.archive.commits import BATCHES, QUARANTINE, SEGMENTS, ArchiveError
from serving.archive.process import ArchiverProcess
from serving.archive.reading import read_rows
from serving.archive.store import LocalStore
from serving.child_process import alive
from serving.live.supervisor import StateServer
from tests.serving.archive.streams import event_fields, event_ids

INTERVAL_S = 0.05


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateServer]:
    server = StateServer(tmp_path_factory.mktemp("state"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: StateServer) -> Iterator[Redis]:
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_archiver_goes_on_at_once(
    server: StateServer, client: Redis, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)
    archiver = ArchiverProcess({"state": server.url}, str(tmp_path), INTERVAL_S)
    archiver.start()
    try:
        client.xadd("events", event_fields("a"))
        until(lambda: client.xlen("events") == 0)
        killed = archiver.process_id
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        client.xadd("events", event_fields("b"))
        until(lambda: client.xlen("events") == 0)
        assert archiver.process_id not in {None, killed}
    finally:
        archiver.stop()
    assert archiver.process_id is None
    assert event_ids(store) == ["a", "b"]


def test_it_ends_with_a_launcher_that_was_killed(server: StateServer, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time; from serving.archive.process import ArchiverProcess;"
        "a = ArchiverProcess({'state': sys.argv[1]}, sys.argv[2], 0.05); a.start();"
        "print(a.process_id, flush=True); time.sleep(0.1); os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", script, server.url, str(tmp_path)]
    launcher = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    orphan = int(launcher.stdout)
    until(lambda: not alive(orphan))
    assert launcher.returncode == -signal.SIGKILL


def test_a_damaged_archive_is_named_and_set_aside_while_archiving_goes_on(
    server: StateServer, client: Redis, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / BATCHES / "2026-01-01" / "x.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    unnamed = tmp_path / SEGMENTS / "2026-01-01" / "of-the-damaged-commit.parquet"
    unnamed.parent.mkdir(parents=True)
    unnamed.write_bytes(b"rows")
    client.xadd("events", event_fields("a"))
    archiver = ArchiverProcess({"state": server.url}, str(tmp_path), INTERVAL_S)
    archiver.start()
    until(lambda: client.xlen("events") == 0)
    archiver.stop()
    assert "x.json: damaged commit file" in capfd.readouterr().err
    aside = tmp_path / QUARANTINE / BATCHES / "2026-01-01" / "x.json"
    assert (aside.read_text(), damaged.exists()) == ("{", False)
    assert unnamed.exists()
    store = LocalStore(tmp_path)
    with pytest.raises(
        ArchiveError, match=r"quarantine/commits.*x\.json.*restore commits.*x\.json"
    ):
        read_rows(store, "events")
    store.delete(f"{QUARANTINE}/{BATCHES}/2026-01-01/x.json")  # given up
    assert event_ids(store) == ["a"]
