"""Swaps and roll backs under open-loop load at 60 % of capacity, while items are uploaded.

``python -m tests.benchmarks.bundle_swap [--host uvicorn] [--swaps 20]``. The two bundles share no
item, so that an answer which mixes them shows it.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embeddings.feed_model import KIND
from models.bundle import publish
from serving.hot_swap import RELEASE_S
from tests.benchmarks.load import request_bytes
from tests.benchmarks.open_loop import (
    Arrivals,
    OpenResult,
    capacity_rps,
    open_loop,
    prefer_this_process,
)
from tests.e2e.server import Server, family, running
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

USERS, HISTORY, K = 200, 20, 20
P99_LIMIT_MS = 25.0
SHARE_OF_CAPACITY = 0.6
UPLOAD_ITEMS, UPLOAD_INTERVAL_S = 50, 0.5
LIMIT_S = 600.0


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.bundle_swap", description=__doc__)
    parser.add_argument("--host", choices=("ray", "uvicorn"), default="ray")
    parser.add_argument("--replicas", type=int, default=2, help="of Ray Serve")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20, help="of the steady load")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["TIDEGATE__RAY__REPLICAS"] = str(options.replicas)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        versions = publish_two(folder, options.items, options.seed)
        with running(options.host, folder / "bundles", folder / "server") as server:
            prefer_this_process()
            figures = measured(server, versions, options)
    bars = {
        f"{options.swaps} swaps": figures["swaps"] == options.swaps,
        "errors = 0, none shed": figures["errors"] == figures["shed"] == 0,
        "mixed = 0": figures["mixed"] == 0,
        "p99 <= 2 x steady": figures["p99_ratio"] <= 2,
    }
    print_report("bundle_swap", figures=figures, bars=bars, seed=options.seed)


def publish_two(folder: Path, items: int, seed: int) -> tuple[str, str]:
    """Publish bundles of items ``a-0`` … and ``b-0`` …; the last one is current."""
    versions = []
    for n, name in enumerate("ab"):
        print(f"bundle {name}", file=sys.stderr)
        random = np.random.default_rng(seed + n)
        creators = random.integers(items // 5, size=items).tolist()
        records = [
            {"item_id": f"{name}-{row}", "creator_id": f"{name}-creator-{creator}"}
            for row, creator in enumerate(creators)
        ]
        make_feed_bundle(folder / name, records, seed + n, dimensions=63)
        versions.append(publish(folder / name, folder / "bundles", KIND).name)
    return versions[1], versions[0]


def measured(
    server: Server, versions: tuple[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    """Find the capacity, load steadily, then load while bundles swap."""
    requests = random_requests(options.items, options.seed)
    sound = one_bundle(dict(zip(versions, ("b-", "a-"), strict=True)))
    limit = capacity_rps(server.port, requests, P99_LIMIT_MS, 3.0, options.seed)
    rate = SHARE_OF_CAPACITY * limit
    print(f"capacity {limit:.0f} requests/s", file=sys.stderr)
    with_uploads = Work(server)
    uploads = threading.Thread(target=with_uploads.upload)
    uploads.start()
    steady = open_loop(
        server.port, requests, Arrivals(rate, options.seconds, options.seed + 1), sound
    )
    memory = resident_mb(server)
    swaps = threading.Thread(target=with_uploads.swap, args=(versions, options.swaps))
    swaps.start()
    arrivals = Arrivals(rate, LIMIT_S, options.seed + 2, lambda: not swaps.is_alive())
    swapping = open_loop(server.port, requests, arrivals, sound)
    swaps.join()
    with_uploads.over.set()
    uploads.join()
    time.sleep(2 * RELEASE_S)  # the last bundle but one has gone by then
    return summary(steady, swapping, with_uploads) | {
        "capacity_rps": limit,
        "rate_rps": rate,
        "memory_growth_mb": resident_mb(server) - memory,
    }


def summary(steady: OpenResult, swapping: OpenResult, work: "Work") -> dict[str, Any]:
    """The figures of both phases."""
    runs = (steady, swapping)
    return {
        "swaps": work.swapped,
        "swap_s_median": float(np.median(work.took_s)) if work.took_s else 0.0,
        "staging_s_median": {name: float(np.median(of)) for name, of in work.staging_s.items()},
        "uploads": work.uploaded,
        "answers": sum(len(run.latency_ms) for run in runs),
        "errors": sum(run.errors for run in runs) + work.failed,
        "faults": dict(steady.faults + swapping.faults),
        "shed": sum(run.shed for run in runs),
        "mixed": sum(run.unsound for run in runs),
        "steady_p50_ms": steady.served_percentile_ms(50),
        "steady_p99_ms": steady.served_percentile_ms(99),
        "swapping_p50_ms": swapping.served_percentile_ms(50),
        "swapping_p99_ms": swapping.served_percentile_ms(99),
        "p99_ratio": swapping.served_percentile_ms(99) / steady.served_percentile_ms(99),
        "p99_ratio_with_lag": swapping.percentile_ms(99) / steady.percentile_ms(99),
        "client_lag_p99_ms": max(run.lag_percentile_ms(99) for run in runs),
    }


@dataclass
class Work:
    """What goes on beside the load.

    Attributes:
        over: ends the uploads.
        swapped: activations that were answered with 200. took_s: seconds of each.
        staging_s: of every process that staged, the seconds of each of its stagings.
        uploaded: batches of items. failed: answers of either kind other than 2xx.
    """

    server: Server
    over: threading.Event = field(default_factory=threading.Event)
    swapped: int = 0
    took_s: list[float] = field(default_factory=list)
    staging_s: dict[str, list[float]] = field(default_factory=dict)
    uploaded: int = 0
    failed: int = 0

    def swap(self, versions: tuple[str, str], count: int) -> None:
        """Activate the versions in turn."""
        for n in range(count):
            print(f"swap {n + 1} of {count}", file=sys.stderr)
            started = time.perf_counter()
            path = f"/v1/admin/bundles/{KIND}/{versions[(n + 1) % 2]}/activate"
            self.swapped += self._asked("POST", path, b"")
            self.took_s.append(time.perf_counter() - started)
            self._note_staging()

    def _note_staging(self) -> None:
        for kind in self.server.http.get("/v1/admin/bundles").json()["bundles"]:
            for replica in kind["replicas"] if kind["kind"] == KIND else ():
                name = process_name(int(replica["replica"].rpartition("-")[2]))
                self.staging_s.setdefault(name, []).append(replica["staging_s"])

    def upload(self) -> None:
        """Upload new items until it is over."""
        while not self.over.wait(UPLOAD_INTERVAL_S):
            first = self.uploaded * UPLOAD_ITEMS
            items = [
                {
                    "item_id": f"upload-{first + n}",
                    "kind": "video",
                    "creator_id": "uploader",
                    "title": "quick red lamp",
                    "published_at_ms": time.time_ns() // 1_000_000,
                }
                for n in range(UPLOAD_ITEMS)
            ]
            self.uploaded += self._asked("PUT", "/v1/items", json.dumps({"items": items}).encode())

    def _asked(self, method: str, path: str, body: bytes) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}{path}", body, method=method
        )
        try:
            urllib.request.urlopen(request, timeout=LIMIT_S).close()  # noqa: S310
        except (urllib.error.URLError, OSError) as error:
            said = error.read() if isinstance(error, urllib.error.HTTPError) else error
            print(f"{method} {path}: {said!r}", file=sys.stderr)
            self.failed += 1
            return False
        return True


def random_requests(items: int, seed: int) -> list[bytes]:
    """Pages of people whose histories hold items of both bundles."""
    random = np.random.default_rng(seed)
    return [
        request_bytes(
            "POST",
            "/v1/feed",
            json.dumps(
                {
                    "history": [
                        {"item_id": f"{name}-{row}", "type": "like"}
                        for row in random.integers(items, size=HISTORY // 2).tolist()
                        for name in "ab"
                    ],
                    "k": K,
                }
            ).encode(),
        )
        for _ in range(USERS)
    ]


def one_bundle(prefixes: dict[str, str]) -> Callable[[bytes], bool]:
    """Return the check that an answer holds only items of the bundle that it names.

    Args:
        prefixes: of the item ids of each version; uploaded items belong to every bundle.
    """

    def sound(body: bytes) -> bool:
        answer = json.loads(body)
        prefix = prefixes[answer["bundle"]]
        ids = [item["item_id"] for item in answer["items"]]
        return len(ids) == K and all(one.startswith((prefix, "upload-")) for one in ids)

    return sound


def process_name(process_id: int) -> str:
    """What a process calls itself, and its number."""
    called = Path(f"/proc/{process_id}/cmdline").read_text().split("\0")[0]
    return f"{called.strip().rpartition(':')[2]} {process_id}"


def resident_mb(server: Server) -> float:
    """Memory of the launcher and everything that it started."""
    pages = 0
    for member in family(server.process.pid):
        try:
            pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
        except OSError:
            continue  # it has just ended
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
