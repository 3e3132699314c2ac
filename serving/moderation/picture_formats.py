"""Which format of pictures or videos some bytes are in: by what they hold, not by their name."""

import io
import zipfile
from collections.abc import Iterator
from typing import Literal

PictureFormat = Literal["JPEG", "PNG", "WEBP", "GIF", "MP4", "WEBM"]
VIDEOS: frozenset[PictureFormat] = frozenset({"MP4", "WEBM"})

# Brands of MP4 and QuickTime files; HEIC and AVIF pictures begin alike and are not taken.
_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"qt  "}
)
_PNG = b"\x89PNG\r\n\x1a\n"
_FOREIGN = {  # what a browser or a reader would rather take the file for
    b"%pdf-": "PDF",
    b"<script": "HTML",
    b"<html": "HTML",
    b"<!doctype": "HTML",
    b"<svg ": "SVG",
    b"www.w3.org/2000/svg": "SVG",
    b"<?php": "PHP",
}


class MediaError(ValueError):
    """A file that is not judged; `code` says why in one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def recognised(content: bytes) -> PictureFormat:
    """The format of a picture.

    Raises:
        MediaError: `unsupported_format`, `foreign_content` (it is another kind of file, too) or
            `trailing_bytes`.
    """
    found = by_magic(content)
    if found is None:
        raise MediaError(
            "unsupported_format",
            f"starts with {content[:8].hex(' ') or 'nothing'}; taken are JPEG, PNG, WebP, GIF, MP4 "
            "and WebM",
        )
    _refuse_foreign(content)
    end = _end(content, found)
    if end < len(content.rstrip(b"\0")):
        raise MediaError(
            "trailing_bytes", f"the {found} ends at byte {end} of {len(content)}; send it alone"
        )
    return found


def by_magic(content: bytes) -> PictureFormat | None:
    """What a file begins like; None for nothing that is taken."""
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(_PNG):
        return "PNG"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[:6] in {b"GIF87a", b"GIF89a"}:
        return "GIF"
    return _video_by_magic(content)


def _video_by_magic(content: bytes) -> PictureFormat | None:
    if content[4:8] == b"ftyp" and content[8:12] in _BRANDS:
        return "MP4"
    return "WEBM" if content.startswith(b"\x1a\x45\xdf\xa3") else None


def _refuse_foreign(content: bytes) -> None:
    lowered = content.lower()
    kind = next((kind for sign, kind in _FOREIGN.items() if sign in lowered), None)
    if kind is None and zipfile.is_zipfile(io.BytesIO(content)):
        kind = "ZIP archive"
    if kind is not None:
        raise MediaError("foreign_content", f"the picture is a {kind}, too; send a plain picture")


def _end(content: bytes, found: PictureFormat) -> int:
    """The byte behind the picture; all there is where cameras append or nothing says its end."""
    if found == "WEBP":
        return 8 + int.from_bytes(content[4:8], "little")
    if found == "PNG":
        return max((end for kind, end in _png_chunks(content) if kind == b"IEND"), default=1 << 62)
    return 1 << 62


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Kind of each chunk and the byte behind it, up to the first IEND."""
    at = len(_PNG)
    while at + 12 <= len(content):
        kind = content[at + 4 : at + 8]
        at += 12 + int.from_bytes(content[at : at + 4], "big")
        yield kind, at
        if kind == b"IEND":
            return
