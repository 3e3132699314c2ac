"""Frames of a video that are worth a look: at a fixed rate, and where the scene changes."""

import io
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np

from models.arrays import Pixels, Vectors
from serving.moderation.picture_formats import MediaError

_SMALL = (16, 16)  # pixels; what a change of scene is told by
_CHANGE = 24.0  # mean difference of 255 between two small frames
_SAME = 4.0  # mean difference below which two frames may show the same ...
_SAME_CELL = 8.0  # ... unless a single cell differs more: a line of text on a still picture
_RECENT = 64  # kept frames that a frame is compared with, so that cuts to and fro count once


@dataclass(frozen=True)
class KeyFrame:
    """A frame and when it is shown, in seconds from the start."""

    time_s: float
    pixels: Pixels


@dataclass(frozen=True)
class VideoLimits:
    """What is decoded of a video at most.

    Attributes:
        duration_s: of all. pixels: of one frame. rate_s: seconds between two frames of the fixed
            rate. frames: kept; of more, an even choice. longest_side: larger frames are reduced.
    """

    duration_s: float = 600.0
    pixels: int = 8_300_000  # 4K
    rate_s: float = 1.0
    frames: int = 24
    longest_side: int = 960


def key_frames(content: bytes, limits: VideoLimits) -> tuple[list[KeyFrame], tuple[int, int], int]:
    """Key frames of a video in order, its width and height, and how many frames it has.

    Raises:
        MediaError: `no_video`, `picture_too_large`, `video_too_long` or `damaged_picture`.
    """
    try:
        with av.open(io.BytesIO(content), mode="r") as container:
            if not container.streams.video:
                raise MediaError("no_video", "the file holds no video; send one that does")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            _check(stream, container.duration, limits)
            seen = _Counted(container.decode(stream))
            kept = _thinned(_chosen(seen, limits), limits.frames)
            size = (stream.width, stream.height)
    except av.error.FFmpegError as error:
        raise MediaError("damaged_picture", f"the video cannot be decoded: {error}") from error
    if not kept:
        raise MediaError("damaged_picture", "no frame of the video can be decoded")
    return kept, size, seen.count


def _thinned(chosen: Iterable[KeyFrame], most: int) -> list[KeyFrame]:
    """At most so many, spread evenly; never more than twice as many in memory."""
    kept: list[KeyFrame] = []
    step = 1
    for number, frame in enumerate(chosen):
        if number % step == 0:
            kept.append(frame)
        if len(kept) == 2 * most:
            kept, step = kept[::2], step * 2
    if len(kept) <= most:
        return kept
    return [kept[at] for at in np.linspace(0, len(kept) - 1, most).round().astype(int)]


class _Counted:
    """Counts what goes by."""

    def __init__(self, frames: Iterator[Any]) -> None:
        self.count = 0
        self._frames = frames

    def __iter__(self) -> Iterator[Any]:
        for frame in self._frames:
            self.count += 1
            yield frame


def _check(stream: Any, duration: int | None, limits: VideoLimits) -> None:
    if stream.width * stream.height > limits.pixels:
        raise MediaError(
            "picture_too_large",
            f"has {stream.width} x {stream.height} pixels, the limit is {limits.pixels} in all",
        )
    _check_time((duration or 0) / av.time_base, limits)


def _check_time(time_s: float, limits: VideoLimits) -> None:
    if time_s > limits.duration_s:
        raise MediaError(
            "video_too_long", f"lasts {time_s:.0f} s, the limit is {limits.duration_s:.0f} s"
        )


def _chosen(frames: Iterable[Any], limits: VideoLimits) -> Iterator[KeyFrame]:
    """Frames that show something new; a header may lie about the duration, frames do not."""
    recent: deque[Vectors] = deque(maxlen=_RECENT)
    due_s = 0.0
    for number, frame in enumerate(frames):
        time_s = float(frame.time) if frame.time is not None else number / 25
        _check_time(time_s, limits)
        small = _small(frame)
        cut = bool(recent) and float(np.abs(small - recent[-1]).mean()) >= _CHANGE
        if (cut or time_s >= due_s) and not _shown(small, recent):
            yield KeyFrame(round(time_s, 3), _pixels(frame, limits.longest_side))
            recent.append(small)
            due_s = time_s + limits.rate_s


def _shown(small: Vectors, recent: Collection[Vectors]) -> bool:
    """Whether one of the frames kept last shows the same."""
    if not recent:
        return False
    change = np.abs(np.stack([*recent]) - small)
    same = (change.mean((1, 2)) < _SAME) & (change.max((1, 2)) < _SAME_CELL)
    return bool(same.any())


def _small(frame: Any) -> Vectors:
    grey = frame.reformat(*_SMALL, "gray", interpolation="AREA").to_ndarray()
    return np.asarray(grey, np.float32)


def _pixels(frame: Any, longest_side: int) -> Pixels:
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    scale = longest_side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
