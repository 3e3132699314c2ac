"""Content through the whole cascade, in process and on one core.

    python -m tests.benchmarks.moderation_latency --bundle BUNDLE

Texts are sentences by template, joined to 200 characters (the bar) and to the longest accepted.
Pictures are drawn, 640 pixels square, PNG; videos last 10 s in 360p: five scenes, each filmed in a
slow pan, the odd ones under a caption. The time counts from their bytes, none is seen twice.
Texts are also judged in batches by the text model alone, for its throughput.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import numpy as np
from PIL import Image

from models.arrays import Pixels, Vectors
from serving.api.moderation_schemas import TEXT_LIMIT
from serving.moderation.decoding import decode
from serving.moderation.opening import open_moderator
from tests.drawn_pictures import scene, with_text
from training.datasets.contrasts import contrasts
from training.moderation_evaluation import POLICIES
from training.report import print_report

Given = TypeVar("Given")
SEED = 11
SHORT, SIDE, BATCH = 200, 640, 64
BARS_MS = {"short": 8.0, "picture": 150.0, "picture_with_text": 700.0, "video": 3_000.0}
VIDEO_S, FRAMES_PER_S, SCENE_S = 10, 25, 2
WIDTH, HEIGHT = 640, 360
BAR_TEXTS_PER_S = 400.0
WORDS = ("全网最低价", "新品上市", "限时优惠", "BEST PRICE", "NEW ARRIVAL")


def main() -> None:
    """Time each kind of content and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=30)
    parser.add_argument("--videos", type=int, default=6)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    moderator = open_moderator(arguments.bundle, POLICIES).moderator
    judge = moderator.judge

    def look(content: bytes) -> None:
        judge([], pictures=[decode(content)])

    def text(words: str) -> None:
        judge([words])

    count = arguments.pictures
    taken = {
        "short": timed(text, texts_of(SHORT, arguments.texts)),
        "longest": timed(text, texts_of(TEXT_LIMIT, 5)),
        "picture": timed(look, [png(scene(n, SIDE)) for n in range(count)]),
        "picture_with_text": timed(look, [png(written(n)) for n in range(count)]),
        "video": timed(look, [video(n) for n in range(arguments.videos)]),
    }
    figures = {}
    for name, took in taken.items():
        figures[f"{name}_p50_ms"] = float(np.quantile(took.wall_ms, 0.5))
        figures[f"{name}_p95_ms"] = float(np.quantile(took.wall_ms, 0.95))
        figures[f"{name}_cpu_p50_ms"] = float(np.quantile(took.cpu_ms, 0.5))
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


@dataclass(frozen=True)
class Taken:
    """Milliseconds [N] of N pieces of content, by the clock and of the processor."""

    wall_ms: Vectors
    cpu_ms: Vectors


def timed(work: Callable[[Given], None], given: Sequence[Given]) -> Taken:
    """Time each but the first, which starts what is started late."""
    work(given[0])
    rows = []
    for one in given[1:]:
        started, cpu_started = time.perf_counter(), time.process_time()
        work(one)
        rows.append((time.perf_counter() - started, time.process_time() - cpu_started))
    wall_ms, cpu_ms = 1_000 * np.array(rows, np.float32).T
    return Taken(wall_ms, cpu_ms)


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


def video(seed: int) -> bytes:
    """An MP4 file; a scene is wider than what is shown of it, and the view moves over it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("mpeg4", rate=FRAMES_PER_S, bit_rate=2_000_000)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in range(VIDEO_S * FRAMES_PER_S):
            shown, at = divmod(n, SCENE_S * FRAMES_PER_S)
            frame = av.VideoFrame.from_ndarray(filmed(10 * seed + shown, 2 * at), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def filmed(seed: int, left: int) -> Pixels:
    """[HEIGHT, WIDTH, 3] of a scene from a column on; of an odd one with a caption."""
    view = scene(2_000 + seed, WIDTH + 2 * SCENE_S * FRAMES_PER_S)[:HEIGHT, left : left + WIDTH]
    if seed % 2 == 0:
        return np.ascontiguousarray(view)
    ground = view.copy()
    ground[280:340] = 245
    return with_text(ground, WORDS[seed // 2 % len(WORDS)], (40, 325), 44)


def png(picture: Pixels) -> bytes:
    """A file of it."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
