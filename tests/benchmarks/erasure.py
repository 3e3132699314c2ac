"""One user erased from a running server that holds a million archived events.

``python -m tests.benchmarks.erasure`` fills an archive (the last day not yet compacted), starts the
launcher on it, lets one user leave traces everywhere, sends ``DELETE /v1/users/ID`` and waits
for the receipt. An independent scan then looks into every file.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.bundle import publish
from serving.archive.archiver import Archiver
from serving.archive.compaction import compact
from serving.archive.reading import read_rows
from serving.archive.store import LocalStore
from serving.archive.worker import today
from tests.benchmarks.archive_erasure import DAY_MS, DAYS, SEED, GeneratedStream
from tests.benchmarks.calls import event
from tests.benchmarks.traces import traces
from tests.e2e.server import ARCHIVE, Server, running
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

BAR_S = 60.0
USER = "user-00007"
PLACES = (ARCHIVE, "state/log", "state/live", "records")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; return the exit status."""
    line = argparse.ArgumentParser(prog="tests.benchmarks.erasure")
    line.add_argument("--events", type=int, default=1_000_000)
    options = line.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".erasure-") as name:
        folder = Path(name)
        make_feed_bundle(folder / "made", 200, SEED)
        publish(folder / "made", folder / "bundles", "feed")
        filled(folder / "var" / ARCHIVE, options.events)
        with running("uvicorn", folder / "bundles", folder / "var") as server:
            leave_traces(server)
            before = traces(folder, USER)
            told(f"before: {len(before)} places")
            receipt, taken_s = erased(server)
            archived = len(server.archived("events"))
        left = traces(folder, USER)
    known = {place: any(place in found for found in before) for place in PLACES}
    figures = {
        "events": options.events,
        "erased_s": taken_s,
        "places_before": len(before),
        "places_after": len(left),
        "left": left[:10],
        "receipt": receipt["stores"],
        "events_left": archived,
    }
    bars = {f"the scan sees the user in {place} before": seen for place, seen in known.items()}
    bars |= {"found nowhere": not left, f"one user within {BAR_S:g} s": taken_s <= BAR_S}
    bars["everyone else is kept"] = archived > 0.99 * options.events
    held = print_report("erasure", figures=figures, bars=bars, seed=SEED)
    return 0 if held else 1


def filled(folder: Path, events: int) -> None:
    """Archive invented events of the last days; all but today's are compacted."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    start_ms = int(midnight.timestamp() * 1000) - (DAYS - 1) * DAY_MS
    store = LocalStore(folder)
    Archiver(GeneratedStream(events, start_ms), store).drain()
    told(f"archived {events} events, {len(read_rows(store, 'events', USER))} of {USER}")
    compact(store, today())


def leave_traces(server: Server) -> None:
    """Behaviour, a served page, recorded facts: all of the user's that is kept anywhere."""
    facts = {"region": "CN", "birth_year": 1990, "blocks": {"creators": ["creator-1"]}}
    server.http.put(f"/v1/users/{USER}", json=facts).raise_for_status()
    batch = [event(USER, f"item-{n}", time.time_ns() // 1_000_000) for n in range(20)]
    server.http.post("/v1/events", json={"events": batch}).raise_for_status()
    server.http.post("/v1/feed", json={"user_id": USER, "k": 10}).raise_for_status()


def erased(server: Server) -> tuple[dict[str, Any], float]:
    """Erase the user; the finished receipt and the seconds it took."""
    started = time.perf_counter()
    receipt = server.http.delete(f"/v1/users/{USER}").raise_for_status().json()
    while receipt["erased_at_ms"] is None:
        time.sleep(0.1)
        path = f"/v1/erasures/{receipt['receipt_id']}"
        receipt = server.http.get(path).raise_for_status().json()
    return receipt, time.perf_counter() - started


def told(words: str) -> None:
    """Progress, beside the report."""
    sys.stderr.write(words + "\n")


if __name__ == "__main__":
    sys.exit(main())
