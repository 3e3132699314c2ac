"""What is seen in a video says when it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from embeddings.fingerprint import Fingerprint, fingerprint
from embeddings.ocr import TextLine, as_text
from embeddings.qr import QrCode
from models.arrays import Pixels, Vectors
from serving.moderation.decoding import Picture
from serving.moderation.sight import Glance, Sight, box_of, time_of


@dataclass
class ReadingEyes:
    """Read what the grey of a frame stands for; count the looks."""

    lines_of: dict[int, list[TextLine]]
    labels: tuple[str, ...] = ()
    looks: list[int] = field(default_factory=list)

    def glance(self, pixels: Pixels) -> Glance:
        return Glance(np.empty(0, np.float32), None)

    def codes(self, pixels: Pixels) -> Sequence[QrCode]:
        return [QrCode("join", (1, 1, 5, 5))] if pixels[0, 0, 0] > 10 else []

    def has_text(self, pixels: Pixels) -> bool:
        return bool(self.lines_of.get(int(pixels[0, 0, 0])))

    def lines(self, pixels: Pixels) -> Sequence[TextLine]:
        self.looks.append(int(pixels[0, 0, 0]))
        return self.lines_of[int(pixels[0, 0, 0])]

    def fingerprint(self, pixels: Pixels, seen: Vectors | None) -> Fingerprint:
        return fingerprint(pixels, seen)


def frame(grey: int) -> Pixels:
    return np.full((50, 100, 3), grey, np.uint8)


@pytest.fixture
def video() -> Picture:
    return Picture(
        "0" * 64, "MP4", 200, 100, 90, (frame(10), frame(20), frame(30)), (0.0, 1.5, 3.0)
    )


@pytest.fixture
def eyes() -> ReadingEyes:
    low, high = (10, 30, 40, 8), (10, 5, 40, 8)
    return ReadingEyes(
        {
            20: [TextLine("low", low, 0.9), TextLine("brand", high, 0.9)],
            30: [TextLine("brand", high, 0.9), TextLine("cure", high, 0.9)],
        }
    )


def test_lines_stand_in_order_of_time_then_place_and_boxes_are_of_the_video_as_sent(
    video: Picture, eyes: ReadingEyes
) -> None:
    lines = Sight(eyes).lines(video)
    assert [(line.text, line.time_s) for line in lines] == [
        ("brand", 1.5),
        ("low", 1.5),
        ("cure", 3.0),
    ]
    assert lines[0].box == (20, 10, 80, 16)
    assert as_text(lines) == "brand\nlow\ncure"
    assert (time_of(lines, (0, 3)), time_of(lines, (10, 14))) == (1.5, 3.0)
    assert box_of(lines, (10, 14)) == (20, 10, 80, 16)


def test_a_code_is_shown_when_it_first_appears(video: Picture, eyes: ReadingEyes) -> None:
    [code] = Sight(eyes).codes(video)
    assert (code.payload, code.time_s) == ("join", 1.5)


def test_a_video_is_read_once(video: Picture, eyes: ReadingEyes) -> None:
    sight = Sight(eyes)
    assert sight.lines(video) is sight.lines(video)
    assert eyes.looks == [20, 30]
