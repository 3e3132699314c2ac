"""SIGKILL of server, archiver and state servers at random points under load; then a count.

``python -m tests.benchmarks.crash_rounds`` sends events until each batch is acknowledged, kills one
process a round, and compares what was acknowledged with what the archive holds.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.bundle import publish
from serving.archive.reading import read_rows
from serving.archive.store import LocalStore
from tests.benchmarks.calls import Caller, event
from tests.e2e.server import STOP_LIMIT_S, alive, family, free_ports, launched
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

BAR_ROUNDS = 50
BATCH, CLIENTS = 20, 2
ARCHIVE_LIMIT_S = 90.0
RETRY_S = 0.05
VICTIMS = ("server", "archiver", "log", "live")


@dataclass
class Sent:
    """Ids of the events that were acknowledged."""

    acknowledged: list[str] = field(default_factory=list)
    retries: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


class Launcher:
    """The launcher with everything embedded; started again after each kill of its own."""

    def __init__(self, bundles: Path, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self._arguments = ["--host", "uvicorn", "--bundles", str(bundles)]
        self._arguments += ["--port", str(self.port)]
        self.process = launched(self._arguments, folder)

    def kill(self, victim: str) -> None:
        """SIGKILL one process; a dead launcher is started again at once."""
        if victim == "server":
            self.process.kill()
            self.process.wait()
            self.process = launched(self._arguments, self.folder)
        elif process_id := self._process_id(victim):
            os.kill(process_id, signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would."""
        self.process.terminate()
        self.process.wait(STOP_LIMIT_S)

    def _process_id(self, victim: str) -> int | None:
        if victim == "archiver":
            found = [one for one in family(self.process.pid) if b"archive.process" in _line(one)]
            return found[0] if found else None
        words = (self.folder / "state" / victim / "lock").read_text().split()
        return int(words[1]) if len(words) > 1 and alive(int(words[1])) else None


def main() -> None:
    """Run the rounds and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.crash_rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=BAR_ROUNDS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".crash-rounds-") as text:
        folder = Path(text)
        make_feed_bundle(folder / "made", 200, options.seed)
        publish(folder / "made", folder / "bundles", "feed")
        launcher = Launcher(folder / "bundles", folder / "server")
        try:
            figures = rounds(launcher, options.rounds, random.Random(options.seed))
        finally:
            launcher.stop()
    bars = {
        f"rounds >= {BAR_ROUNDS}": figures["rounds"] >= BAR_ROUNDS,
        "lost = 0": figures["lost"] == 0,
        "duplicated = 0": figures["duplicated"] == 0,
        "events were acknowledged": figures["acknowledged"] > 0,
    }
    print_report("crash_rounds", figures=figures, bars=bars, seed=options.seed)


def rounds(launcher: Launcher, count: int, chance: random.Random) -> dict[str, Any]:
    """Kill once a round, after some batches were acknowledged; then compare with the archive."""
    sent, killed = Sent(), Counter[str]()
    threads = [threading.Thread(target=send, args=(launcher.port, sent)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for _ in range(count):
        before = len(sent.acknowledged)
        while len(sent.acknowledged) < before + BATCH * CLIENTS:
            time.sleep(0.01)
        time.sleep(chance.random())
        victim = chance.choice(VICTIMS)
        launcher.kill(victim)
        killed[victim] += 1
    sent.stop.set()
    for thread in threads:
        thread.join()
    archived = archived_ids(launcher.folder / "archive", set(sent.acknowledged))
    return {
        "rounds": count,
        "killed": dict(killed),
        "acknowledged": len(sent.acknowledged),
        "retries": sent.retries,
        "lost": len(set(sent.acknowledged) - set(archived)),
        "duplicated": len(archived) - len(set(archived)),
    }


def send(port: int, sent: Sent) -> None:
    """Send batches, each until it is acknowledged."""
    caller = Caller(port)
    while not sent.stop.is_set():
        now_ms = int(time.time() * 1000)
        rows = [event("user", f"item-{n}", now_ms) for n in range(BATCH)]
        body = json.dumps({"events": rows}).encode()
        while caller.post("/v1/events", body)[0] != 202:
            sent.retries += 1
            time.sleep(RETRY_S)
        sent.acknowledged += [row["event_id"] for row in rows]
    caller.close()


def archived_ids(folder: Path, expected: set[str]) -> list[str]:
    """Ids in the archive, once it holds all that is expected or has had its time."""
    deadline = time.monotonic() + ARCHIVE_LIMIT_S
    while True:
        ids: list[str] = read_rows(LocalStore(folder), "events")["event_id"].to_pylist()
        if expected <= set(ids) or time.monotonic() > deadline:
            return ids
        time.sleep(0.5)


def _line(process_id: int) -> bytes:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main()
