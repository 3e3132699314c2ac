"""SIGKILL of launcher, replicas, archiver, state servers or all at once, under load; then a count.

``python -m tests.benchmarks.crash_rounds`` runs Ray Serve with two replicas of events, sends until
each batch is acknowledged and asks for feeds, kills once a round, and compares what was
acknowledged with what the archive holds.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.bundle import publish
from serving.archive.reading import read_rows
from serving.archive.store import LocalStore
from serving.child_process import alive
from tests.benchmarks.calls import Caller, event
from tests.e2e.server import ARCHIVE, STOP_LIMIT_S, family, free_ports, launched
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

BAR_ROUNDS = 50
ITEMS, BATCH, CLIENTS = 200, 20, 2
EVENT_REPLICAS = "2"
ROUND_LIMIT_S = 180.0
ARCHIVE_LIMIT_S = 300.0  # a killed launcher starts again; its archiver awaits the former lease
RETRY_S, ANSWER_LIMIT_S = 0.05, 5.0
# After the first two everything starts anew, which takes Ray 10 to 25 s.
DECK = ("launcher", "all", *("replica",) * 3, *("log", "live", "archiver") * 2)


@dataclass
class Sent:
    """Ids of the events that were acknowledged; feeds are those that were answered."""

    acknowledged: list[str] = field(default_factory=list)
    retries: int = 0
    feeds: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


class Launcher:
    """The launcher with everything embedded; started again whenever it has ended."""

    def __init__(self, bundles: Path, folder: Path) -> None:
        self.folder = folder
        self.port, *self._ray_ports = free_ports(3)
        self._arguments = ["--host", "ray", "--bundles", str(bundles), "--port", str(self.port)]
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start it, whatever is left of the one before."""
        self.process = launched(self._arguments, self.folder, self._ray_ports)
        self.starts += 1

    def restart_if_ended(self) -> None:
        """Start it again if it was killed, or gave up."""
        if self.process.poll() is not None:
            self.start()

    def kill(self, victim: str, chance: random.Random) -> bool:
        """SIGKILL one process or all of them; false if there is none just now."""
        found = sorted(self._members(victim))
        for process_id in found if victim == "all" else found and [chance.choice(found)]:
            with contextlib.suppress(ProcessLookupError):  # it went with another one
                os.kill(process_id, signal.SIGKILL)
        return bool(found)

    def stop(self) -> None:
        """End it as an operator would."""
        self.process.terminate()
        self.process.wait(STOP_LIMIT_S)

    def _members(self, victim: str) -> Iterator[int]:
        if victim == "launcher":
            yield self.process.pid
        elif victim in ("log", "live"):
            words = (self.folder / "state" / victim / "lock").read_text().split()
            yield from (int(one) for one in words[1:] if alive(int(one)))
        else:
            sign = {"all": b"", "replica": b"ray::ServeReplica", "archiver": b"archive.process"}
            for process_id in family(self.process.pid):
                if sign[victim] in _line(process_id):
                    yield process_id


def main() -> None:
    """Run the rounds and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.crash_rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=BAR_ROUNDS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["TIDEGATE__RAY__EVENT_REPLICAS"] = EVENT_REPLICAS
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".crash-rounds-") as text:
        folder = Path(text)
        make_feed_bundle(folder / "made", ITEMS, options.seed)
        publish(folder / "made", folder / "bundles", "feed")
        launcher = Launcher(folder / "bundles", folder / "server")
        try:
            figures = rounds(launcher, options.rounds, random.Random(options.seed))
            report(figures, options.seed)  # before the end, which may fail and says so then
        finally:
            launcher.stop()


def report(figures: dict[str, Any], seed: int) -> None:
    """Print the figures beside their bars."""
    bars = {
        f"rounds >= {BAR_ROUNDS}": figures["rounds"] >= BAR_ROUNDS,
        "lost = 0": figures["lost"] == 0,
        "duplicated = 0": figures["duplicated"] == 0,
        "events were acknowledged": figures["acknowledged"] > 0,
    }
    print_report("crash_rounds", figures=figures, bars=bars, seed=seed)


def rounds(launcher: Launcher, count: int, chance: random.Random) -> dict[str, Any]:
    """Kill once a round, after some batches were acknowledged; then compare with the archive."""
    sent, killed = Sent(), Counter[str]()
    threads = [threading.Thread(target=send, args=(launcher.port, sent)) for _ in range(CLIENTS)]
    threads.append(threading.Thread(target=ask, args=(launcher.port, sent)))
    for thread in threads:
        thread.start()
    started_s = time.monotonic()
    try:
        for n, victim in enumerate(victims(count, chance)):
            acknowledge(launcher, sent)
            time.sleep(chance.random())
            while not launcher.kill(victim, chance):
                launcher.restart_if_ended()
                time.sleep(0.01)
            killed[victim] += 1
            print(f"{n + 1} of {count}: {victim}", file=sys.stderr)
        took_s = time.monotonic() - started_s
        acknowledge(launcher, sent)
    finally:
        sent.stop.set()
        for thread in threads:
            thread.join()
    return told(launcher, sent) | {"rounds": count, "killed": dict(killed), "took_s": took_s}


def victims(count: int, chance: random.Random) -> Iterator[str]:
    """Deal from a shuffled deck again and again, so that a short run meets each of them."""
    deck: list[str] = []
    for _ in range(count):
        deck = deck or chance.sample(DECK, len(DECK))
        yield deck.pop()


def acknowledge(launcher: Launcher, sent: Sent) -> None:
    """Wait until events are taken again, and start a launcher that has ended.

    Raises:
        SystemExit: none were taken within ROUND_LIMIT_S.
    """
    # One batch of each client may have been taken before the kill.
    wanted = len(sent.acknowledged) + 2 * BATCH * CLIENTS
    deadline = time.monotonic() + ROUND_LIMIT_S
    while len(sent.acknowledged) < wanted:
        launcher.restart_if_ended()
        if time.monotonic() > deadline:
            raise SystemExit((launcher.folder / "output").read_text())
        time.sleep(0.01)


def told(launcher: Launcher, sent: Sent) -> dict[str, Any]:
    """Compare what was acknowledged with what the archive holds."""
    store = LocalStore(launcher.folder / ARCHIVE)
    archived = archived_ids(store, set(sent.acknowledged), launcher)
    served = read_rows(store, "served")
    places = [served[name].to_pylist() for name in ("request_id", "position")]
    pages = Counter(zip(*places, strict=True))
    return {
        "starts": launcher.starts,
        "acknowledged": len(sent.acknowledged),
        "retries": sent.retries,
        "lost": len(set(sent.acknowledged) - set(archived)),
        "duplicated": len(archived) - len(set(archived)),
        "feeds": sent.feeds,
        "served": len(pages),
        "served_duplicated": pages.total() - len(pages),
    }


def send(port: int, sent: Sent) -> None:
    """Send batches, each until it is acknowledged or the run has failed."""
    caller = Caller(port, ANSWER_LIMIT_S)
    while not sent.stop.is_set():
        now_ms = int(time.time() * 1000)
        rows = [event("user", f"item-{n}", now_ms) for n in range(BATCH)]
        body = json.dumps({"events": rows}).encode()
        while caller.post("/v1/events", body)[0] != 202:
            sent.retries += 1
            if sent.stop.wait(RETRY_S):
                return
        sent.acknowledged += [row["event_id"] for row in rows]
    caller.close()


def ask(port: int, sent: Sent) -> None:
    """Ask for feeds."""
    caller = Caller(port, ANSWER_LIMIT_S)
    while not sent.stop.wait(RETRY_S):
        body = json.dumps({"user_id": f"user-{sent.feeds}", "k": 5}).encode()
        sent.feeds += caller.post("/v1/feed", body)[0] == 200
    caller.close()


def archived_ids(store: LocalStore, expected: set[str], launcher: Launcher) -> list[str]:
    """Ids in the archive, once it holds all that is expected or has had its time.

    What the last kill left may have gone on taking events: the launcher may still have to start.
    """
    deadline = time.monotonic() + ARCHIVE_LIMIT_S
    while True:
        ids: list[str] = read_rows(store, "events")["event_id"].to_pylist()
        if expected <= set(ids) or time.monotonic() > deadline:
            return ids
        launcher.restart_if_ended()
        time.sleep(0.5)


def _line(process_id: int) -> bytes:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main()
