"""Pictures drawn for tests: textured scenes, QR codes, text."""

import cv2
import numpy as np

from models.arrays import Pixels


def scene(seed: int, side: int = 320) -> Pixels:
    """[side, side, 3] shapes on a soft ground, another scene for each seed."""
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(40, 216, (6, 6, 3), np.uint8), (side, side))
    for _ in range(24):
        colour = tuple(map(int, rng.integers(0, 256, 3)))
        x, y, radius = map(int, rng.integers((0, 0, 8), (side, side, side // 6)))
        if rng.random() < 0.5:
            cv2.circle(ground, (x, y), radius, colour, -1)
        else:
            cv2.rectangle(ground, (x, y), (x + radius, y + radius // 2), colour, -1)
    return np.asarray(ground, np.uint8)


def with_code(picture: Pixels, payload: str, at: tuple[int, int], side: int) -> Pixels:
    """The picture with a QR code laid on it, its quiet zone included."""
    code = cv2.QRCodeEncoder.create().encode(payload)
    square = cv2.resize(code, (side, side), interpolation=cv2.INTER_NEAREST)
    square = cv2.copyMakeBorder(square, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=255)
    laid, (x, y) = picture.copy(), at
    laid[y : y + len(square), x : x + len(square)] = square[:, :, None]
    return laid


def with_text(picture: Pixels, text: str, at: tuple[int, int], size: int = 32) -> Pixels:
    """The picture with text written on it (WenQuanYi Micro Hei, which comes with OpenCV)."""
    written = picture.copy()
    cv2.putText(written, text, at, (0, 0, 0), cv2.FontFace("uni"), size, 500)
    return written
