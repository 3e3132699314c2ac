"""One text through the whole cascade, in process and on one core.

    python -m tests.benchmarks.moderation_latency --bundle BUNDLE

Texts are sentences by template, joined to 200 characters (the bar) and to the longest accepted.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from serving.api.moderation_schemas import TEXT_LIMIT
from training.datasets.contrasts import contrasts
from training.moderation_evaluation import moderator_of
from training.report import print_report

SEED = 11
BAR_MS = 8.0
SHORT = 200  # characters


def main() -> None:
    """Time both lengths and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=300)
    arguments = parser.parse_args()
    judge = moderator_of(arguments.bundle).judge
    figures: dict[str, float] = {}
    for name, length, count in (("short", SHORT, arguments.texts), ("longest", TEXT_LIMIT, 5)):
        took_ms = []
        for text in texts_of(length, count):
            started = time.perf_counter()
            judge([text])
            took_ms.append((time.perf_counter() - started) * 1000)
        figures[f"{name}_p50_ms"] = float(np.median(took_ms))
        figures[f"{name}_p95_ms"] = float(np.quantile(took_ms, 0.95))
    bars = {f"{SHORT} characters: p50 <= {BAR_MS:g} ms": figures["short_p50_ms"] <= BAR_MS}
    sys.exit(not print_report("moderation_latency", figures=figures, bars=bars, seed=SEED))


def texts_of(length: int, count: int) -> list[str]:
    """Texts of `length` characters, Chinese and English in turn."""
    whole = {name: " ".join(contrasts(name, 4 * length, SEED).texts()) for name in ("zh", "en")}
    starts = np.random.default_rng(SEED).integers(0, 3 * length, count).tolist()
    return [
        whole["en" if n % 2 else "zh"][start : start + length] for n, start in enumerate(starts)
    ]


if __name__ == "__main__":
    main()
