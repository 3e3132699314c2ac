"""From an item's upload to its place in the feeds of those nearest to it, in every replica.

``python -m tests.benchmarks.item_freshness`` runs two servers over one store of records and one
state, uploads items to one of them, and asks both for the feed of someone who liked an item of the
same content until both show it. The time counts from before the upload was sent.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np

from models.bundle import publish
from tests.e2e.server import Server, running
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

BAR_S, GIVE_UP_S = 2.0, 10.0
ITEMS, DIMENSIONS, K = 5_000, 63, 50  # enough that an item is nearest to its own content
PAUSE_S = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; return the exit status."""
    line = argparse.ArgumentParser(prog="tests.benchmarks.item_freshness")
    line.add_argument("--uploads", type=int, default=30)
    line.add_argument("--seed", type=int, default=0)
    options = line.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_feed_bundle(folder / "made", ITEMS, options.seed, DIMENSIONS)
        publish(folder / "made", folder / "bundles", "feed")
        first = stack.enter_context(running("uvicorn", folder / "bundles", folder / "first"))
        second = stack.enter_context(second_server(first, folder))
        taken_s = np.array(uploaded(first, second, options.uploads, options.seed))
    figures = {
        "replicas": 2,
        "items": ITEMS,
        "uploads": options.uploads,
        "p50_s": float(np.median(taken_s)),
        "p99_s": float(np.percentile(taken_s, 99)),
        "max_s": float(taken_s.max()),
    }
    bars = {f"reachable in every replica within {BAR_S:g} s": figures["max_s"] <= BAR_S}
    held = print_report("item_freshness", figures=figures, bars=bars, seed=options.seed)
    return 0 if held else 1


@contextmanager
def second_server(first: Server, folder: Path) -> Iterator[Server]:
    """Run another server over the records and the state of the first."""
    urls = re.findall(r"state server on (redis://[^,]+)", first.output)
    shared = {
        "TIDEGATE__STATE__URL": urls[0],
        "TIDEGATE__STATE__LIVE_URL": urls[-1],
    }
    with patch.dict(os.environ, shared):
        target = folder / "second"
        target.mkdir()
        for part in ("records", "secrets"):
            (target / part).symlink_to(first.folder / part)
        with running("uvicorn", folder / "bundles", target) as server:
            yield server


def uploaded(first: Server, second: Server, count: int, seed: int) -> list[float]:
    """Seconds from each upload until both servers show the item."""
    random = np.random.default_rng(seed)
    return [
        reached_s(first.http, second.http, n, int(like))
        for n, like in enumerate(random.choice(ITEMS, count, replace=False))
    ]


def reached_s(first: httpx.Client, second: httpx.Client, n: int, like: int) -> float:
    """Upload an item like one of the bundle, and wait until both feeds have it."""
    row = twin(first, f"item-{like}", f"new-{n}")
    sent = time.perf_counter()
    first.put("/v1/items", json={"items": [row]}).raise_for_status()
    waiting = [first, second]
    while waiting and time.perf_counter() - sent < GIVE_UP_S:
        waiting = [one for one in waiting if row["item_id"] not in shown(one, f"item-{like}")]
        time.sleep(PAUSE_S if waiting else 0)
    return time.perf_counter() - sent


def twin(http: httpx.Client, item_id: str, new_id: str) -> dict[str, Any]:
    """A record with the content of an item of the bundle."""
    found = http.get(f"/v1/items/{item_id}").raise_for_status().json()["item"]
    names = ("kind", "title", "category", "tags", "language", "duration_ms")
    own = {"item_id": new_id, "creator_id": found["creator_id"], "published_at_ms": 1}
    return {name: found[name] for name in names} | own


def shown(http: httpx.Client, liked: str) -> list[str]:
    """Items in the feed of someone who likes one item."""
    body = {"history": [{"item_id": liked, "type": "like"}], "k": K}
    answer = http.post("/v1/feed", json=body).raise_for_status().json()
    return [item["item_id"] for item in answer["items"]]


if __name__ == "__main__":
    sys.exit(main())
