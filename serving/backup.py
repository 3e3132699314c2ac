"""``python -m serving backup FOLDER``: copy what this machine keeps, while it serves.

The state is copied before the archive: what moves from one to the other meanwhile is then in both,
and the archiver takes it once. The records are copied before the bundles that they point to.
"""

import argparse
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from configs.schema import ServingConfig
from serving.archive.commits import ArchiveError, check_whole, view
from serving.archive.store import LocalStore
from serving.live.state_files import APPEND_ONLY, MANIFEST
from serving.stores import SQLITE_FILE

ATTEMPTS = 10


class BackupError(RuntimeError):
    """The backup is not made; nothing is left of it."""


class Place(NamedTuple):
    """Something to copy.

    Attributes:
        name: where it stands below the backup, laid out as ``var``.
        url: where it is kept instead; None for this machine.
    """

    name: str
    url: str | None
    source: Path
    copy: Callable[[Path, Path], None]


def add_backup_parser(commands: Any) -> None:
    """Mount ``backup`` on an argparse sub-command collection; its `run` takes the configuration."""
    parser = commands.add_parser("backup", help="copy state, records, archive, media and bundles")
    parser.add_argument("folder", type=Path, help="a new one")
    parser.set_defaults(run=run_backup)


def run_backup(options: argparse.Namespace, serving: ServingConfig) -> int:
    """Back up, and print a line for each place; the exit status."""
    try:
        lines = back_up(serving, options.folder)
    except (BackupError, ArchiveError, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"no backup: {error}\n")
        return 1
    lines.append(f"{serving.records.secrets} is not in it: keep a copy elsewhere, apart from this")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def back_up(serving: ServingConfig, target: Path) -> list[str]:
    """Copy every place of this machine; say what was copied and what was not.

    Raises:
        BackupError: the target exists, or files changed too fast.
        ArchiveError: a file of the archive is damaged or lies in quarantine.
        OSError, sqlite3.Error: something cannot be read, or the disk is full.
    """
    if target.exists():
        raise BackupError(f"{target}: exists; name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as name:
        whole = Path(name) / "whole"
        whole.mkdir()
        lines = [copied(place, whole) for place in places(serving)]
        whole.rename(target)
    return lines


def places(serving: ServingConfig) -> list[Place]:
    """What there is to copy, in the order in which it must be."""
    state, records, archive = serving.state, serving.records, serving.archive.location
    remote = archive if "://" in archive else None
    return [
        Place("state/log", state.url, state.folder / "log", copy_state),
        Place("state/live", state.live_url or state.url, state.folder / "live", copy_state),
        Place("log/events", remote, Path(archive), copy_archive),
        Place(f"records/{SQLITE_FILE}", records.url, records.folder / SQLITE_FILE, copy_sqlite),
        Place("media", None, serving.media.folder, copy_folder),
        Place("bundles", None, serving.bundles, copy_folder),
    ]


def copied(place: Place, whole: Path) -> str:
    """Copy one place, and say so."""
    if place.url is not None:
        return f"{place.name}: kept by a server of its own, which is backed up by its own means"
    if not place.source.exists():
        return f"{place.name}: nothing there yet"
    target = whole / place.name
    target.parent.mkdir(parents=True, exist_ok=True)
    place.copy(place.source, target)
    files = [path for path in (target, *target.rglob("*")) if path.is_file()]
    return f"{place.name}: {len(files)} files, {sum(path.stat().st_size for path in files)} bytes"


def copy_folder(source: Path, target: Path) -> None:
    """Files that never change once they have their name."""
    shutil.copytree(source, target)


def copy_sqlite(source: Path, target: Path) -> None:
    """One consistent moment of a database in use."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)


def copy_state(source: Path, target: Path) -> None:
    """Append-only files of a running server; one cut off at its end is read up to there.

    Raises:
        BackupError: the server rewrote its files again and again.
    """

    def attempt() -> bool:
        before = (source / APPEND_ONLY / MANIFEST).read_bytes()
        shutil.copytree(source / APPEND_ONLY, target / APPEND_ONLY)
        return (source / APPEND_ONLY / MANIFEST).read_bytes() == before

    _repeated(attempt, source, target)


def copy_archive(source: Path, target: Path) -> None:
    """Commits and the segments that they name, of one moment.

    Raises:
        ArchiveError: a commit file is damaged, or a part lies in quarantine.
        BackupError: the archive was compacted again and again.
    """
    store, copy = LocalStore(source), LocalStore(target)

    def attempt() -> bool:
        check_whole(store)
        for day in view(store):
            names = [segment.name for segment in day.segments]
            names += [batch.name for batch in day.batches]
            names += [day.compacted.name] if day.compacted else []
            for name in names:
                copy.put_new(name, store.read(name))
        return True

    _repeated(attempt, source, target)


def _repeated(attempt: Callable[[], bool], source: Path, target: Path) -> None:
    for _ in range(ATTEMPTS):
        try:
            if attempt():
                return
        except (FileNotFoundError, shutil.Error):
            pass  # replaced while it was copied
        shutil.rmtree(target, ignore_errors=True)
    raise BackupError(f"{source}: changed during each of {ATTEMPTS} attempts; try again")
