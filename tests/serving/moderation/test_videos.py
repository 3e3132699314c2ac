"""Videos: which frames are judged, and what is refused."""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest

from models.arrays import Pixels
from serving.moderation.decoding import DEFAULT_LIMITS, decode
from serving.moderation.decoding_process import DecodingProcess
from serving.moderation.picture_formats import MediaError
from tests.drawn_pictures import scene, with_text


def video(form: str, codec: str, seconds: float, scenes: int) -> bytes:
    """A video of 160 x 120 at 10 frames a second; each scene stands still."""
    total = int(seconds * 10)
    return filmed([scene(n * scenes // total, 160)[:120] for n in range(total)], form, codec)


def filmed(frames: Sequence[Pixels], form: str = "mp4", codec: str = "mpeg4") -> bytes:
    """A video of some frames, ten a second."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for pixels in map(np.ascontiguousarray, frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def sound() -> bytes:
    """An MP4 file without a picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1_024), np.float32), "fltp", "stereo")
        frame.sample_rate = 48_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


@pytest.mark.parametrize(("form", "codec"), [("mp4", "mpeg4"), ("webm", "libvpx")])
def test_of_a_video_each_scene_is_judged_with_its_time(form: str, codec: str) -> None:
    process = DecodingProcess()
    found = process.decode(video(form, codec, seconds=6, scenes=3))
    process.close()
    assert (found.format, found.width, found.height) == (form.upper(), 160, 120)
    assert found.frame_count == 60
    assert found.times_s == pytest.approx((0.0, 2.0, 4.0), abs=0.11)
    for number, frame in enumerate(found.frames):
        assert np.abs(frame.astype(float) - scene(number, 160)[:120]).mean() < 25


def test_a_line_of_text_on_a_still_picture_is_something_new() -> None:
    still = scene(1, 640)[:360]
    said = with_text(still, "SALE", (40, 320), 24)
    found = decode(filmed([still] * 20 + [said] * 20))
    assert found.times_s == pytest.approx((0.0, 2.0), abs=0.11)


def test_what_was_shown_before_is_not_judged_again() -> None:
    one, other = scene(1, 160)[:120], scene(2, 160)[:120]
    found = decode(filmed([one, one, other, other] * 10))
    assert found.times_s == pytest.approx((0.0, 0.2), abs=0.01)


def test_a_video_is_bounded_in_time_pixels_and_frames() -> None:
    content = video("mp4", "mpeg4", seconds=3, scenes=6)
    with pytest.raises(MediaError, match="lasts 3 s, the limit is 2 s"):
        decode(content, replace(DEFAULT_LIMITS, video_s=2))
    with pytest.raises(MediaError, match="160 x 120 pixels"):
        decode(content, replace(DEFAULT_LIMITS, pixels=10_000))
    assert len(decode(content, replace(DEFAULT_LIMITS, key_frames=4)).frames) == 4


def test_a_damaged_video_and_one_without_a_picture_are_refused() -> None:
    for content, code in (
        (video("mp4", "mpeg4", 2, 2)[:4_000], "damaged_picture"),
        (sound(), "no_video"),
    ):
        with pytest.raises(MediaError) as refusal:
            decode(content)
        assert refusal.value.code == code
