"""Uploaded files, named by the sha256 of their bytes: the same file is kept once."""

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from serving.moderation.picture_formats import MediaError, PictureFormat, by_magic

MAGIC_BYTES = 16
TYPES: dict[PictureFormat, tuple[str, ...]] = {
    "JPEG": ("image/jpeg",),
    "PNG": ("image/png",),
    "WEBP": ("image/webp",),
    "GIF": ("image/gif",),
    "MP4": ("video/mp4", "video/quicktime"),
    "WEBM": ("video/webm", "video/x-matroska"),
}


@dataclass(frozen=True)
class StoredFile:
    """A file on disk.

    Attributes:
        sha256: of its bytes, 64 hex digits. size: bytes.
    """

    sha256: str
    size: int


def path_of(folder: Path, sha256: str) -> Path:
    """Where a file of this checksum stands."""
    return folder / sha256[:2] / sha256


async def of_type(chunks: AsyncIterator[bytes], mime: str) -> AsyncIterator[bytes]:
    """Pass a file on, and refuse it at its end if it begins like another type.

    Raises:
        MediaError: `unsupported_format` or `another_format`.
    """
    head = b""
    async for chunk in chunks:
        head = (head + chunk)[:MAGIC_BYTES]
        yield chunk
    found = by_magic(head)
    if head and found is None:
        taken = ", ".join(one for types in TYPES.values() for one in types)
        raise MediaError(
            "unsupported_format", f"begins with {head[:8].hex(' ')}; taken are {taken}"
        )
    if found is not None and mime not in TYPES[found]:
        raise MediaError("another_format", f"is {TYPES[found][0]}, not {mime}; name its own type")


async def keep_file(folder: Path, chunks: AsyncIterator[bytes]) -> StoredFile:
    """Write a file as it comes in; it is durable and whole, or not there.

    Raises:
        ValueError: there are no bytes, or the chunks refuse.
        OSError: the disk is full or cannot be written; nothing is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor, name = tempfile.mkstemp(prefix="upload-", dir=folder)
    arrived = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if size == 0:
            raise ValueError("the file is empty")
        final = path_of(folder, digest.hexdigest())
        final.parent.mkdir(exist_ok=True)
        arrived.replace(final)
        _sync(final.parent)
    finally:
        arrived.unlink(missing_ok=True)
    return StoredFile(digest.hexdigest(), size)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
