"""Videos: which frames are judged, and what is refused."""

import io
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest

from serving.moderation.decoding import DEFAULT_LIMITS, decode
from serving.moderation.decoding_process import DecodingProcess
from serving.moderation.picture_formats import MediaError
from tests.drawn_pictures import scene


def video(form: str, codec: str, seconds: float, scenes: int) -> bytes:
    """A video of 160 x 120 at 10 frames a second; each scene stands still."""
    file, total = io.BytesIO(), int(seconds * 10)
    with av.open(file, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for n in range(total):
            pixels = np.ascontiguousarray(scene(n * scenes // total, 160)[:120])
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
