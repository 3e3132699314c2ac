"""Archiving a million events and erasing one user from them, before and after compaction.

python -m tests.benchmarks.archive_erasure
"""

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

import orjson

from serving.archive.archiver import Archiver
from serving.archive.commits import view
from serving.archive.compaction import compact, erase
from serving.archive.rows import Entry
from serving.archive.store import LocalStore
from training.report import print_report

SEED = 7
DAYS, BATCH, USERS = 5, 500, 50_000
DAY_MS, START_MS = 86_400_000, 1_800_000_000_000
TODAY = "2099-01-01"


class GeneratedStream:
    """A stream whose entries are made when they are read."""

    def __init__(self, events: int, start_ms: int = START_MS) -> None:
        self._start_ms = start_ms
        self._batches = events // BATCH
        self._chance = random.Random(SEED)

    def epoch(self) -> str:
        """One life only."""
        return "generated"

    def read(self, after: str, count: int) -> list[Entry]:
        """The next batches, spread evenly over the days."""
        first = 0 if after == "0-0" else self._number(after) + 1
        return [self._entry(n) for n in range(first, min(first + count, self._batches))]

    def newest(self) -> str:
        """See `_entry`."""
        return self._id(self._batches - 1)

    def trim(self, through: str) -> None:
        """Nothing is kept."""

    def _number(self, entry: str) -> int:
        return int(entry.split("-")[1])

    def _entry(self, number: int) -> Entry:
        ms = self._ms(number)
        lines = [orjson.dumps(self._event(f"{number}-{n}", ms)) for n in range(BATCH)]
        return Entry(self._id(number), {b"kind": b"events", b"body": b"\n".join(lines)})

    def _id(self, number: int) -> str:
        return f"{self._ms(number)}-{number}"

    def _ms(self, number: int) -> int:
        return self._start_ms + number * DAYS * DAY_MS // self._batches

    def _event(self, name: str, ms: int) -> dict[str, str | int]:
        return {
            "event_id": f"event-{name}",
            "user_id": f"user-{self._chance.randrange(USERS):05d}",
            "item_id": f"item-{self._chance.randrange(50_000)}",
            "type": self._chance.choice(("impression", "play", "like")),
            "time": ms,
            "request_id": f"request-{self._chance.randrange(10**9)}",
            "watch_ms": self._chance.randrange(60_000),
        }


def rows(store: LocalStore) -> int:
    """Rows of every live segment."""
    return sum(segment.rows for day in view(store) for segment in day.segments)


def main() -> None:
    """Run it and print one report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".archive-erasure-") as folder:
        store = LocalStore(Path(folder))
        started = time.perf_counter()
        Archiver(GeneratedStream(events), store).drain()
        figures["archived_per_s"] = events / (time.perf_counter() - started)
        figures["rows_archived"] = rows(store)
        for name, work in (
            ("erase_loose_s", lambda: erase(store, "user-00007")),
            ("compact_s", lambda: compact(store, TODAY)),
            ("erase_compacted_s", lambda: erase(store, "user-00008")),
        ):
            started = time.perf_counter()
            work()
            figures[name] = time.perf_counter() - started
        figures["rows_left"] = rows(store)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        figures["bytes_per_event"] = size / events
    figures["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    slowest_s = max(figures["erase_loose_s"], figures["erase_compacted_s"])
    bars = {"every event is archived": figures["rows_archived"] == events}
    bars |= {"one user of 1M events erased in 60 s": slowest_s <= 60}
    if not print_report("archive_erasure", figures=figures, bars=bars, seed=SEED):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
