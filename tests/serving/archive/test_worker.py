import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from serving.archive.archiver import RedisStream
from serving.archive.store import LocalStore
from serving.archive.worker import ArchiverLease, Duties, run
from serving.live.supervisor import StateServer
from tests.serving.archive.streams import event_fields, event_ids


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = StateServer(tmp_path_factory.mktemp("state"))
    server.start()
    connected = Redis.from_url(server.url)
    yield connected
    connected.close()
    server.stop()


def started(client: Redis, store: LocalStore, stop: threading.Event) -> threading.Thread:
    streams = [RedisStream(client), RedisStream(client, "served")]
    duties = Duties(streams, store, day=lambda: "2099-01-01")
    thread = threading.Thread(target=run, args=(ArchiverLease(client), duties, stop, 0.01))
    thread.start()
    return thread


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_disk_is_waited_out(
    client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        full_disk.set()
        raise OSError(28, "No space left on device")

    client.flushall()
    store, stop, full_disk = LocalStore(tmp_path), threading.Event(), threading.Event()
    client.xadd("events", event_fields("a", "b"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", full)
        thread = started(client, store, stop)
        assert full_disk.wait(10)
        assert client.xlen("events") == 1
    until(lambda: client.xlen("events") == 0)
    assert event_ids(store) == ["a", "b"]
    stop.set()
    thread.join()
    assert client.get("archiver") is None


def test_one_of_two_archivers_works_and_the_other_takes_over(client: Redis) -> None:
    client.flushall()
    first, second = ArchiverLease(client), ArchiverLease(client)
    assert first.held()
    assert first.held()
    assert not second.held()
    second.release()
    assert first.held()
    first.release()
    assert second.held()
    second.release()


def test_days_are_compacted_when_they_are_over(client: Redis, tmp_path: Path) -> None:
    client.flushall()
    store, stop = LocalStore(tmp_path), threading.Event()
    client.xadd("events", event_fields("a"), id="1800000000000-0")
    client.xadd("served", event_fields("b"), id="1800000000000-0")
    thread = started(client, store, stop)
    until(lambda: bool(store.names("commits/days")) and not store.names("commits/batches"))
    stop.set()
    thread.join()
    assert sorted(event_ids(store)) == ["a", "b"]
    assert store.names("commits/batches") == []
