"""Content through the whole cascade, in process and on one core.

    python -m tests.benchmarks.moderation_latency --bundle BUNDLE

Texts are sentences by template, joined to 200 characters (the bar) and to the longest accepted.
Pictures are drawn, 640 pixels square, PNG; the time counts from their bytes, none is seen twice.
Texts are also judged in batches by the text model alone, for its throughput.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image

from models.arrays import Pixels
from serving.api.moderation_schemas import TEXT_LIMIT
from serving.moderation.decoding import decode
from tests.drawn_pictures import scene, with_text
from training.datasets.contrasts import contrasts
from training.moderation_evaluation import moderator_of
from training.report import print_report

Given = TypeVar("Given")
SEED = 11
SHORT, SIDE, BATCH = 200, 640, 64
BARS_MS = {"short": 8.0, "picture": 150.0, "picture_with_text": 700.0}
BAR_TEXTS_PER_S = 400.0
WORDS = ("全网最低价", "新品上市", "限时优惠", "BEST PRICE", "NEW ARRIVAL")


def main() -> None:
    """Time each kind of content and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=30)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    moderator = moderator_of(arguments.bundle)
    judge = moderator.judge

    def look(content: bytes) -> None:
        judge([], pictures=[decode(content)])

    def text(words: str) -> None:
        judge([words])

    count = arguments.pictures
    took_ms = {
        "short": timed(text, texts_of(SHORT, arguments.texts)),
        "longest": timed(text, texts_of(TEXT_LIMIT, 5)),
        "picture": timed(look, [png(scene(n, SIDE)) for n in range(count)]),
        "picture_with_text": timed(look, [png(written(n)) for n in range(count)]),
    }
    figures = {
        f"{name}_{words}_ms": float(np.quantile(taken, share))
        for name, taken in took_ms.items()
        for words, share in (("p50", 0.5), ("p95", 0.95))
    }
    batches = texts_of(SHORT // 4, 16 * BATCH)
    started = time.process_time()
    for first in range(0, len(batches), BATCH):
        moderator.model.judged(batches[first : first + BATCH])
    figures["texts_per_cpu_s"] = len(batches) / (time.process_time() - started)
    bars = {
        f"{name}: p50 <= {bar:g} ms": figures[f"{name}_p50_ms"] <= bar
        for name, bar in BARS_MS.items()
    }
    bars[f"text, batched: >= {BAR_TEXTS_PER_S:g} a second"] = (
        figures["texts_per_cpu_s"] >= BAR_TEXTS_PER_S
    )
    sys.exit(not print_report("moderation_latency", figures=figures, bars=bars, seed=SEED))


def timed(work: Callable[[Given], None], given: Sequence[Given]) -> list[float]:
    """Milliseconds for each; the first is done once before, as it starts what is started late."""
    work(given[0])
    took_ms = []
    for one in given[1:]:
        started = time.perf_counter()
        work(one)
        took_ms.append((time.perf_counter() - started) * 1000)
    return took_ms


def texts_of(length: int, count: int) -> list[str]:
    """Texts of `length` characters, Chinese and English in turn."""
    whole = {name: " ".join(contrasts(name, 4 * length, SEED).texts()) for name in ("zh", "en")}
    starts = np.random.default_rng(SEED).integers(0, 3 * length, count).tolist()
    return [
        whole["en" if n % 2 else "zh"][start : start + length] for n, start in enumerate(starts)
    ]


def written(seed: int) -> Pixels:
    """A picture with three lines of text on a plain ground."""
    ground = scene(1_000 + seed, SIDE)
    for n in range(3):
        top = 60 + 180 * n
        ground[top : top + 90] = 245
        ground = with_text(ground, WORDS[(seed + n) % len(WORDS)], (40, top + 65), 56)
    return ground


def png(picture: Pixels) -> bytes:
    """A file of it."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
