"""What is seen in pictures: scores, codes, text. Remembered by the hash of their bytes."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from embeddings.fingerprint import Fingerprint
from embeddings.ocr import TextLine
from embeddings.qr import QrCode
from models.arrays import Box, Pixels, Vectors
from serving.moderation.decoding import Picture

REMEMBERED = 4_096  # pictures x kinds of looks
LEAST_CONFIDENCE = 0.5  # of a line of text; below it mostly texture was read


@dataclass(frozen=True)
class Glance:
    """A frame as the picture model sees it: [K] scores and [D] vector; None without a model."""

    scores: Vectors
    seen: Vectors | None


class Eyes(Protocol):
    """Everything that looks at pixels [H, W, 3]."""

    @property
    def labels(self) -> tuple[str, ...]:
        """K names, in the order of the scores; empty without a picture model."""

    def glance(self, pixels: Pixels) -> Glance:
        """Scores and vector."""

    def codes(self, pixels: Pixels) -> Sequence[QrCode]:
        """QR codes."""

    def has_text(self, pixels: Pixels) -> bool:
        """Whether reading is worth its time."""

    def lines(self, pixels: Pixels) -> Sequence[TextLine]:
        """Lines of text, from top to bottom."""

    def fingerprint(self, pixels: Pixels, seen: Vectors | None) -> Fingerprint:
        """By what the picture is known again."""


class Sight:
    """Eyes that remember. Used by one thread at a time."""

    def __init__(self, eyes: Eyes, remembered: int = REMEMBERED) -> None:
        self.labels = eyes.labels
        self._eyes = eyes
        self._limit = remembered
        self._known: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def scores(self, picture: Picture) -> Mapping[str, float]:
        """Of each label the likeliest frame's."""
        if not self.labels:
            return {}
        rows = [glance.scores.tolist() for glance in self._glances(picture)]
        largest = [max(column) for column in zip(*rows, strict=True)]
        return dict(zip(self.labels, largest, strict=True))

    def fingerprint(self, picture: Picture) -> Fingerprint:
        """Of the first frame."""

        def look() -> Fingerprint:
            seen = self._glances(picture)[0].seen if self.labels else None
            return self._eyes.fingerprint(picture.pixels, seen)

        found: Fingerprint = self._once(picture, "fingerprint", look)
        return found

    def codes(self, picture: Picture) -> Sequence[QrCode]:
        """Codes of all frames, each payload once; boxes are of the picture as sent."""

        def look() -> list[QrCode]:
            found = [
                QrCode(code.payload, scaled(code.box, picture.scale), time_s)
                for frame, time_s in shown(picture)
                for code in self._eyes.codes(frame)
            ]
            return list({code.payload: code for code in reversed(found)}.values())

        found: list[QrCode] = self._once(picture, "codes", look)
        return found

    def lines(self, picture: Picture) -> Sequence[TextLine]:
        """Text of all frames that have some; boxes are of the picture as sent."""

        def look() -> list[TextLine]:
            read = [
                TextLine(line.text, scaled(line.box, picture.scale), line.confidence, time_s)
                for frame, time_s in shown(picture)
                if self._eyes.has_text(frame)
                for line in self._eyes.lines(frame)
                if line.confidence >= LEAST_CONFIDENCE and line.text.strip()
            ]
            once = {line.text: line for line in reversed(read)}
            return sorted(once.values(), key=lambda line: (line.time_s, line.box[1], line.box[0]))

        found: list[TextLine] = self._once(picture, "lines", look)
        return found

    def _glances(self, picture: Picture) -> list[Glance]:
        def look() -> list[Glance]:
            return [self._eyes.glance(frame) for frame in picture.frames]

        found: list[Glance] = self._once(picture, "glances", look)
        return found

    def _once(self, picture: Picture, kind: str, look: Callable[[], Any]) -> Any:
        key = (picture.sha256, kind)
        if key not in self._known:
            self._known[key] = look()
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def scaled(box: Box, scale: float) -> Box:
    """A box of the decoded picture in pixels of the picture as sent."""
    left, top, width, height = (round(part * scale) for part in box)
    return left, top, width, height


def shown(picture: Picture) -> Iterator[tuple[Pixels, float]]:
    """Frames of a picture, and when each is shown, in s."""
    return zip(picture.frames, picture.times_s, strict=True)


def time_of(lines: Sequence[TextLine], span: tuple[int, int]) -> float:
    """When the first line is shown that a span of `embeddings.ocr.as_text` touches, in s."""
    at = 0
    for line in lines:
        at += len(line.text) + 1
        if span[0] < at:
            return line.time_s
    raise ValueError(f"span {span} lies behind the text")


def box_of(lines: Sequence[TextLine], span: tuple[int, int]) -> Box:
    """The box around all lines that a span of `embeddings.ocr.as_text` touches."""
    boxes, at = [], 0
    for line in lines:
        if at < span[1] and span[0] < at + len(line.text):
            boxes.append(line.box)
        at += len(line.text) + 1
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    return left, top, right - left, bottom - top
