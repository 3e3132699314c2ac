"""The bundle that the serving benchmarks measure: 100,000 items, 64 dimensions, IVF-SQ8."""

from pathlib import Path

import numpy as np

from models.bundle import publish
from tests.feed_bundles import make_feed_bundle

ITEMS = 100_000
RETRIEVAL_DIMENSIONS = 64
CREATORS = 20_000


def publish_large_bundle(root: Path, items: int = ITEMS, seed: int = 0) -> Path:
    """Invent a catalogue, index it and publish it under ``root/bundles``; return that folder."""
    random = np.random.default_rng(seed)
    creators = random.integers(CREATORS, size=items).tolist()
    durations = random.integers(5_000, 90_000, items).tolist()
    records = [
        {"item_id": f"item-{n}", "creator_id": f"creator-{creator}", "duration_ms": duration}
        for n, (creator, duration) in enumerate(zip(creators, durations, strict=True))
    ]
    make_feed_bundle(root / "made", records, seed, dimensions=RETRIEVAL_DIMENSIONS - 1)
    publish(root / "made", root / "bundles", "feed")
    return root / "bundles"
