"""Copies of what changes meanwhile; ``tests/e2e/test_operate.py`` goes the whole way and back."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from configs.schema import ServingConfig
from serving import backup
from serving.app import Settings
from serving.archive.archiver import Archiver
from serving.archive.commits import DayView, view
from serving.archive.compaction import compact
from serving.archive.store import ArchiveStore, LocalStore
from serving.backup import BackupError, back_up
from serving.live.state_files import APPEND_ONLY, MANIFEST
from tests.serving.archive.streams import START_MS, MemoryStream, event_fields, event_ids


@pytest.fixture
def serving(settings: Settings, tmp_path: Path) -> ServingConfig:
    """Of an installation with two archived batches and one state server's files."""
    stream = MemoryStream()
    stream.add(START_MS, event_fields("a"))
    stream.add(START_MS + 1, event_fields("b"))
    Archiver(stream, LocalStore(Path(settings.serving.archive.location))).drain()
    files = settings.serving.state.folder / "log" / APPEND_ONLY
    files.mkdir(parents=True)
    (files / MANIFEST).write_text("files of the first life")
    return settings.serving


def test_an_archive_that_is_compacted_meanwhile_is_copied_whole(
    serving: ServingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_compacted(store: ArchiveStore) -> list[DayView]:
        seen = view(store)
        compact(store, "2099-01-01")
        return seen

    monkeypatch.setattr(backup, "view", then_compacted)
    lines = back_up(serving, tmp_path / "backups" / "one")
    copy = LocalStore(tmp_path / "backups" / "one" / "log" / "events")
    assert sorted(event_ids(copy)) == ["a", "b"]
    assert {name.split("/")[0] for name in copy.names("")} == {"commits", "segments"}
    assert "state/live: nothing there yet" in lines
    with closing(sqlite3.connect(tmp_path / "backups/one/records/records.db")) as records:
        assert records.execute("select count(*) from sequences").fetchone()[0] > 0


def test_files_that_never_hold_still_make_no_backup(
    serving: ServingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = serving.state.folder / "log" / APPEND_ONLY / MANIFEST
    copytree = shutil.copytree

    def then_rewritten(source: Path, target: Path) -> None:
        copytree(source, target)
        manifest.write_text(manifest.read_text() + "!")

    monkeypatch.setattr(shutil, "copytree", then_rewritten)
    with pytest.raises(BackupError, match=r"state/log: changed during each of 10 attempts"):
        back_up(serving, tmp_path / "backups" / "one")
    assert list((tmp_path / "backups").iterdir()) == []


def test_what_stands_behind_a_url_is_named_and_left_out(
    serving: ServingConfig, tmp_path: Path
) -> None:
    state = serving.state.model_copy(update={"url": "redis://elsewhere"})
    records = serving.records.model_copy(update={"url": "postgresql://elsewhere/records"})
    archive = serving.archive.model_copy(update={"location": "s3://bucket/log"})
    elsewhere = serving.model_copy(update={"state": state, "records": records, "archive": archive})
    lines = back_up(elsewhere, tmp_path / "one")
    assert [line.split(":")[0] for line in lines if "a server of its own" in line] == [
        "state/log",
        "state/live",
        "log/events",
        "records/records.db",
    ]
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"bundles"}
