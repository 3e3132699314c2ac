"""QR codes in pictures (ZXing)."""

from dataclasses import dataclass

import zxingcpp

from models.arrays import Box, Pixels

_FORMATS = zxingcpp.barcode_formats_from_str("QRCode,MicroQRCode")


@dataclass(frozen=True)
class QrCode:
    """A code that was found.

    Attributes:
        payload: what it says; None where it is seen and cannot be read, as where it is cut off.
        box: around it. time_s: of a video, when it is shown.
    """

    payload: str | None
    box: Box
    time_s: float = 0.0


def find(picture: Pixels) -> list[QrCode]:
    """Codes of a picture [H, W, 3]: turned, inverted, small and damaged ones, too."""
    found = zxingcpp.read_barcodes(
        picture,
        formats=_FORMATS,
        try_rotate=True,
        try_downscale=True,
        try_invert=True,
        return_errors=True,
    )
    found.sort(key=lambda code: not code.valid)
    codes: list[QrCode] = []
    for code in found:
        box = _box(code.position)
        if code.valid or not any(_overlap(box, other.box) for other in codes):
            codes.append(QrCode(code.text if code.valid else None, box))
    return codes


def _overlap(one: Box, other: Box) -> bool:
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def _box(position: zxingcpp.Position) -> Box:
    corners = (
        position.top_left,
        position.top_right,
        position.bottom_right,
        position.bottom_left,
    )
    xs, ys = [corner.x for corner in corners], [corner.y for corner in corners]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
