"""QR codes that lead buyers elsewhere: how many are found, and what else is taken for one.

    python -m tests.benchmarks.qr_codes --data ../shared/data

Codes and pictures without one come from `qr-image-dev`, benign pictures from `image-policy-dev`.
Composed pictures lay drawn codes of known payload, small, turned and inverted, on the benign ones.
"""

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from numpy.random import Generator

from embeddings.qr import find
from models.arrays import Pixels
from serving.moderation.decoding import decode
from training.datasets.pictures import POLICY_SET, labelled_pictures
from training.report import print_report

CODE_SET = "qr-image-dev"
COMPOSED = 200
PAYLOAD = "https://example.org/group/{}"


def main() -> None:
    """Look for codes in everything and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = pq.read_table(options.data / CODE_SET / "images.parquet").to_pylist()
    found = [find(decode(row["image"]).pixels) for row in rows]
    with_code = [bool(codes) for codes, row in zip(found, rows, strict=True) if row["has_qr"]]
    without = [bool(codes) for codes, row in zip(found, rows, strict=True) if not row["has_qr"]]
    read = [
        any(code.payload == row["decoded_text"] for code in codes)
        for codes, row in zip(found, rows, strict=True)
        if row["has_qr"]
    ]
    benign = labelled_pictures(options.data / POLICY_SET).pictures
    started = time.perf_counter()
    flagged = [bool(find(picture)) for picture in benign]
    took_ms = 1000 * (time.perf_counter() - started) / len(benign)
    rng = np.random.default_rng(options.seed)
    composed = [_composed_is_read(benign, n, rng) for n in range(COMPOSED)]
    figures = {
        "found": sum(with_code),
        "of": len(with_code),
        "payload_read": sum(read),
        "false": sum(without),
        "false_of": len(without),
        "benign_flagged": sum(flagged),
        "benign": len(flagged),
        "composed_found": float(np.mean([found for found, _ in composed])),
        "composed_read": float(np.mean([read for _, read in composed])),
        "ms_a_picture": took_ms,
    }
    bars = {
        "found >= 46/48": sum(with_code) >= len(with_code) * 46 / 48,
        "false <= 1/25": sum(without) <= len(without) / 25,
        "benign flagged <= 1 %": float(np.mean(flagged)) <= 0.01,
    }
    sys.exit(0 if print_report("qr_codes", figures=figures, bars=bars, seed=options.seed) else 1)


def _composed_is_read(benign: tuple[Pixels, ...], number: int, rng: Generator) -> tuple[bool, bool]:
    """Whether a code on a benign picture is found, and read."""
    picture = benign[int(rng.integers(len(benign)))]
    side = 640 / max(picture.shape[:2])
    shape = (round(picture.shape[1] * side), round(picture.shape[0] * side))
    ground = np.asarray(cv2.resize(picture, shape, interpolation=cv2.INTER_CUBIC), np.uint8)
    payload = PAYLOAD.format(number)
    codes = find(laid(ground, payload, rng))
    return bool(codes), any(code.payload == payload for code in codes)


def laid(ground: Pixels, payload: str, rng: Generator) -> Pixels:
    """A picture with a code of 0.12 to 0.35 of its shorter side, turned and perhaps inverted."""
    shorter = min(ground.shape[:2])
    side = int(rng.uniform(0.12, 0.35) * shorter)
    code = cv2.QRCodeEncoder.create().encode(payload)
    code = cv2.copyMakeBorder(code, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=255)
    code = 255 - code if rng.random() < 0.2 else code
    square = cv2.resize(code, (side, side), interpolation=cv2.INTER_AREA)
    centre = rng.uniform(0.5 * side, np.array(ground.shape[1::-1]) - 0.5 * side)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.uniform(-20, 20)), 1)
    matrix = np.asarray(turn, np.float64)
    matrix[:, 2] += centre - side / 2
    size = (ground.shape[1], ground.shape[0])
    drawn = cv2.warpAffine(square, matrix, size, flags=cv2.INTER_AREA)
    covered = cv2.warpAffine(np.full_like(square, 255), matrix, size) > 127
    written = ground.copy()
    written[covered] = drawn[covered][:, None]
    _, jpeg = cv2.imencode(".jpg", written, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


if __name__ == "__main__":
    main()
