"""Where the archive lies: immutable files that exist whole or not at all."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import fsspec

PARTS = "parts"  # files being written; what a kill leaves here is litter


class ArchiveStore(Protocol):
    """A folder of immutable files; names are relative, with ``/``."""

    def put_new(self, name: str, data: bytes) -> None:
        """Store a file durably and whole. Raises: FileExistsError."""

    def read(self, name: str) -> bytes:
        """Bytes of a file. Raises: FileNotFoundError."""

    def names(self, folder: str) -> list[str]:
        """Names of all files below a folder, sorted; none if it is not there."""

    def delete(self, name: str) -> None:
        """Remove a file; nothing happens if it is not there."""


@dataclass(frozen=True)
class LocalStore:
    """Files below a local folder: written aside, fsynced, linked to their name, folder fsynced."""

    root: Path

    def put_new(self, name: str, data: bytes) -> None:
        """See `ArchiveStore.put_new`."""
        path = self.root / name
        _make_folders(path.parent)
        aside = self.root / PARTS / secrets.token_hex(8)
        _make_folders(aside.parent)
        try:
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(aside, path)  # unlike a rename it fails if the name is taken
        finally:
            aside.unlink(missing_ok=True)
        _sync_folder(path.parent)

    def read(self, name: str) -> bytes:
        """See `ArchiveStore.read`."""
        return (self.root / name).read_bytes()

    def names(self, folder: str) -> list[str]:
        """See `ArchiveStore.names`."""
        found = (self.root / folder).rglob("*")
        return sorted(path.relative_to(self.root).as_posix() for path in found if path.is_file())

    def delete(self, name: str) -> None:
        """See `ArchiveStore.delete`."""
        (self.root / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class ObjectStore:
    """Objects below a prefix of any fsspec file system: one PUT makes a file."""

    filesystem: Any
    root: str

    def put_new(self, name: str, data: bytes) -> None:
        """See `ArchiveStore.put_new`."""
        path = f"{self.root}/{name}"
        if self.filesystem.exists(path):  # not every store refuses an overwrite by itself
            raise FileExistsError(path)
        self.filesystem.pipe_file(path, data, mode="create")

    def read(self, name: str) -> bytes:
        """See `ArchiveStore.read`."""
        data: bytes = self.filesystem.cat_file(f"{self.root}/{name}")
        return data

    def names(self, folder: str) -> list[str]:
        """See `ArchiveStore.names`."""
        self.filesystem.invalidate_cache()
        found = self.filesystem.find(f"{self.root}/{folder}")
        start = len(self.filesystem._strip_protocol(self.root)) + 1
        return sorted(str(path)[start:] for path in found)

    def delete(self, name: str) -> None:
        """See `ArchiveStore.delete`."""
        path = f"{self.root}/{name}"
        if self.filesystem.exists(path):
            self.filesystem.rm_file(path)


def open_store(url: str) -> ArchiveStore:
    """The archive at a local path or at any URL that fsspec knows (``s3://bucket/log``)."""
    if "://" not in url or url.startswith("file://"):
        return LocalStore(Path(url.removeprefix("file://")))
    filesystem, root = fsspec.core.url_to_fs(url)
    return ObjectStore(filesystem, root)


def checksum(data: bytes) -> str:
    """SHA-256 [64 hex digits]."""
    return hashlib.sha256(data).hexdigest()


def _make_folders(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
