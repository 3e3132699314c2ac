"""Bytes that somebody sent into pixels, within limits.

`decode` works in the process that calls it; `serving.moderation.decoding_process` runs it in one
that may be killed, which is what a server does.
"""

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from models.arrays import Pixels
from serving.moderation.picture_formats import (
    VIDEOS,
    MediaError,
    PictureFormat,
    by_magic,
    recognised,
)

_ORIENTATION = 0x0112  # tag of EXIF
_WIDE = ("I", "I;16", "I;16B", "I;16L", "F")  # modes of more than 8 bits a channel
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError)
Image.MAX_IMAGE_PIXELS = None  # `Limits` refuses before anything is decoded


@dataclass(frozen=True)
class Limits:
    """What is decoded at most.

    Attributes:
        file_bytes: of the file as sent.
        pixels: width x height, of one frame.
        frames: of an animation. frames_read: how many of them are judged, evenly spread.
        longest_side: larger frames are reduced to it.
        video_s: of a video. key_frames: of it that are judged.
        time_s: from sending the bytes to the decoder to its answer; `video_time_s` of a video.
        memory_bytes: of the decoder.
    """

    file_bytes: int = 20 << 20
    pixels: int = 40_000_000
    frames: int = 600
    frames_read: int = 4
    longest_side: int = 2_048
    video_s: float = 600.0
    key_frames: int = 24
    time_s: float = 5.0
    video_time_s: float = 20.0
    memory_bytes: int = 1 << 30

    def allowed_s(self, content: bytes) -> float:
        """Time for a file."""
        return self.video_time_s if by_magic(content) in VIDEOS else self.time_s


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright, transparency on white.

    Attributes:
        sha256: of the bytes as sent, 64 hex digits.
        format: of the file.
        width: as sent, in pixels. height: likewise.
        frame_count: of the file.
        frames: those to judge, [H, W, 3] each, the first one first.
        times_s: when each is shown; 0 where the file is no video.
    """

    sha256: str
    format: PictureFormat
    width: int
    height: int
    frame_count: int
    frames: tuple[Pixels, ...]
    times_s: tuple[float, ...]

    @property
    def pixels(self) -> Pixels:
        """[H, W, 3] the first frame."""
        return self.frames[0]

    @property
    def scale(self) -> float:
        """Pixels as sent per decoded pixel."""
        return float(self.width / self.pixels.shape[1])


DEFAULT_LIMITS = Limits()


def decode(content: bytes, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode a picture; of an animation frames spread over it, of a video its key frames.

    Raises:
        MediaError: `file_too_large`, `picture_too_large`, `too_many_frames`, `video_too_long`,
            `no_video`, `damaged_picture` or what `recognised` refuses.
    """
    check_size(content, limits)
    found = recognised(content)
    if found in VIDEOS:
        return _video(content, found, limits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of harmless metadata
        try:
            return _decoded(content, found, limits)
        except MediaError:
            raise
        except (*_DAMAGE, struct.error, zlib.error) as error:
            raise MediaError(
                "damaged_picture", f"the {found} cannot be decoded: {error}"
            ) from error


def check_size(content: bytes, limits: Limits) -> None:
    """Refuse a file of too many bytes before anything looks into it.

    Raises:
        MediaError: `file_too_large`.
    """
    if len(content) > limits.file_bytes:
        raise MediaError(
            "file_too_large", f"has {len(content)} bytes, the limit is {limits.file_bytes}"
        )


def _decoded(content: bytes, found: PictureFormat, limits: Limits) -> Picture:
    with Image.open(io.BytesIO(content), formats=[found]) as image:
        count = 1 if found == "JPEG" else getattr(image, "n_frames", 1)
        _check(image, count, limits)
        turned = image.getexif().get(_ORIENTATION, 1) >= 5  # by a quarter
        width, height = reversed(image.size) if turned else image.size
        image.draft("RGB", (limits.longest_side, limits.longest_side))  # JPEG: decode it smaller
        frames = []
        for number in sorted({round(at) for at in np.linspace(0, count - 1, limits.frames_read)}):
            if count > 1:
                image.seek(number)
            frames.append(_upright(image, limits.longest_side))
    times_s = (0.0,) * len(frames)
    return Picture(digest_of(content), found, width, height, count, tuple(frames), times_s)


def _video(content: bytes, found: PictureFormat, limits: Limits) -> Picture:
    from serving.moderation.key_frames import VideoLimits, key_frames

    kept, (width, height), count = key_frames(
        content, VideoLimits(limits.video_s, limits.pixels, frames=limits.key_frames)
    )
    return Picture(
        digest_of(content),
        found,
        width,
        height,
        count,
        tuple(frame.pixels for frame in kept),
        tuple(frame.time_s for frame in kept),
    )


def digest_of(content: bytes) -> str:
    """Sha256 of a file, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def _check(image: Image.Image, count: int, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise MediaError(
            "picture_too_large",
            f"has {width} x {height} pixels, the limit is {limits.pixels} in all",
        )
    if count > limits.frames:
        raise MediaError("too_many_frames", f"has {count} frames, the limit is {limits.frames}")


def _upright(image: Image.Image, longest_side: int) -> Pixels:
    """[H, W, 3] of the current frame."""
    frame = image.copy()
    if frame.mode in _WIDE:
        frame = _narrowed(frame)
    if frame.has_transparency_data:
        frame = frame.convert("RGBA")
        ground = Image.new("RGBA", frame.size, "white")
        frame = Image.alpha_composite(ground, frame)
    frame = ImageOps.exif_transpose(frame.convert("RGB"))
    frame.thumbnail((longest_side, longest_side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(frame, np.uint8)


def _narrowed(frame: Image.Image) -> Image.Image:
    """8 bits a channel of more, over the range that is used."""
    values = np.asarray(frame, np.float32)
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / max(high - low, 1e-6))
    return Image.fromarray(scaled.astype(np.uint8))
