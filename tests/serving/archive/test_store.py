import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from serving.archive.store import PARTS, ArchiveStore, LocalStore, ObjectStore, open_store


@pytest.fixture(params=["local", "object"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArchiveStore:
    if request.param == "local":
        return open_store(str(tmp_path / "log"))
    return ObjectStore(fsspec.filesystem("memory"), f"/{tmp_path.name}")


def test_files_come_back_and_are_listed(store: ArchiveStore) -> None:
    assert store.names("a") == []
    store.put_new("a/b/two", b"2")
    store.put_new("a/one", b"1")
    store.put_new("c/three", b"3")
    assert store.names("a") == ["a/b/two", "a/one"]
    assert store.read("a/b/two") == b"2"
    store.delete("a/one")
    store.delete("a/one")
    assert store.names("a") == ["a/b/two"]
    with pytest.raises(FileNotFoundError):
        store.read("a/one")


def test_a_name_is_taken_once(store: ArchiveStore) -> None:
    store.put_new("a/one", b"1")
    with pytest.raises(FileExistsError):
        store.put_new("a/one", b"2")
    assert store.read("a/one") == b"1"
    assert store.names(PARTS) == []


def test_the_kind_of_store_follows_the_url(tmp_path: Path) -> None:
    assert open_store(f"file://{tmp_path}") == LocalStore(tmp_path)
    assert isinstance(open_store("memory://log"), ObjectStore)


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = LocalStore(tmp_path)
    store.put_new("a/first", b"1")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space"):
        store.put_new("a/one", b"1")
    assert store.names("a") == ["a/first"]
    assert store.names(PARTS) == []


def test_data_is_synced_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def noted(name: str, act: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object) -> None:
            order.append(name)
            act(*args)

        return call

    store = LocalStore(tmp_path)
    store.put_new("a/first", b"1")
    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(os, "link", noted("link", os.link))
    store.put_new("a/one", b"1")
    assert order == ["fsync", "link", "fsync"]
