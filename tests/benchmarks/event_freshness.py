"""From an event's acknowledgement by one replica to an answer of another that knows it.

``python -m tests.benchmarks.event_freshness`` runs two launchers over one pair of state servers.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from models.bundle import publish
from tests.benchmarks.calls import Caller, event
from tests.benchmarks.replicas import replicas
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

ITEMS = 2_000
BAR_MS = 100.0
LIMIT_S = 10.0


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.event_freshness", description=__doc__)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".event-freshness-") as text:
        folder = Path(text)
        make_feed_bundle(folder / "made", ITEMS, options.seed)
        publish(folder / "made", folder / "bundles", "feed")
        with replicas(folder / "bundles", folder, 2) as running:
            teller, asker = (Caller(port) for port in running.ports)
            delays_ms = [delay_ms(teller, asker, n) for n in range(options.events)]
            teller.close()
            asker.close()
    figures = {
        "events": len(delays_ms),
        "p50_ms": float(np.percentile(delays_ms, 50)),
        "p99_ms": float(np.percentile(delays_ms, 99)),
        "max_ms": max(delays_ms),
    }
    bars = {f"p99 <= {BAR_MS:.0f} ms": figures["p99_ms"] <= BAR_MS}
    print_report("event_freshness", figures=figures, bars=bars, seed=options.seed)


def delay_ms(teller: Caller, asker: Caller, number: int) -> float:
    """Tell one replica that somebody new likes an item; ask the other until it personalises."""
    user, item = f"user-{number}", f"item-{number % ITEMS}"
    liked = event(user, item, int(time.time() * 1000))
    status, answer = teller.ask("/v1/events", {"events": [liked]})
    acknowledged = time.perf_counter()
    if status != 202:
        raise SystemExit(f"event {number}: {status} {answer}")
    while time.perf_counter() < acknowledged + LIMIT_S:
        _, page = asker.ask("/v1/feed", {"user_id": user, "k": 10})
        if page["items"] and page["items"][0]["source"] == "interest":
            return (time.perf_counter() - acknowledged) * 1000
        print(f"event {number}: asked again, {page['degraded']}", file=sys.stderr)
    raise SystemExit(f"event {number}: not known to the other replica after {LIMIT_S:.0f} s")


if __name__ == "__main__":
    main()
