"""Training on what our own server has archived."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from configs.schema import RecordsSection
from serving.archive.archiver import Archiver
from serving.archive.store import LocalStore
from serving.stores import open_stores
from tests.conftest import SERVING_CONFIG
from tests.serving.archive.streams import START_MS, MemoryStream, event_fields
from training.datasets.load import load_dataset


@pytest.fixture(autouse=True)
def _server(migrated_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(migrated_records, tmp_path / "records")
    monkeypatch.setenv("TIDEGATE__RECORDS__FOLDER", str(tmp_path / "records"))
    monkeypatch.setenv("TIDEGATE__RECORDS__SECRETS", str(tmp_path / "secrets"))
    monkeypatch.setenv("TIDEGATE__ARCHIVE__LOCATION", str(tmp_path / "archive"))


def archive(folder: Path, *users: str) -> None:
    stream = MemoryStream()
    for n, user in enumerate(users):
        stream.add(START_MS + n, event_fields(f"{user}-a", f"{user}-b", user=user))
    Archiver(stream, LocalStore(folder)).drain()


def test_the_log_comes_with_the_catalogue_and_without_those_who_left(tmp_path: Path) -> None:
    archive(tmp_path / "archive", "u1", "leaves", "u2")
    section = RecordsSection(folder=tmp_path / "records", secrets=tmp_path / "secrets")
    row = {"kind": "video", "creator_id": "c", "published_at_ms": 1, "tags": ["tea"]}
    with closing(open_stores(section)) as stores:
        rows = [row | {"item_id": name, "duration_ms": 60_000} for name in ("i", "other")]
        stores.catalogue.upsert("me", rows, "before_check")
        stores.erasures.request("me", "leaves")
    data = load_dataset("interactions", SERVING_CONFIG, 0)
    assert set(data.users["user_id"].to_pylist()) == {"u1", "u2"}
    assert data.events["duration_ms"].to_pylist() == [60_000.0] * 4
    assert data.items.select(["item_id", "tags"]).to_pylist() == [
        {"item_id": "i", "tags": ["tea"]},
        {"item_id": "other", "tags": ["tea"]},
    ]


def test_an_empty_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="archive: no events are archived yet"):
        load_dataset("interactions", SERVING_CONFIG, 0)
