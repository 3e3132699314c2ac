"""Random takedowns while two replicas answer under load, one of them cut from the state at times.

``python -m tests.benchmarks.takedown`` looks at every item of every answer to a request that began
after the takedown's 200. Regained items are restored by nobody: what is gone stays gone.
"""

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.bundle import publish
from tests.benchmarks.calls import Caller
from tests.benchmarks.replicas import Replicas, replicas
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

ITEMS = 20_000
BAR_ITEMS = 100_000
K = 50
CUT_S, WHOLE_S = 20.0, 5.0  # a cut outlasts the lease of 15 s
BETWEEN_S = 0.2


@dataclass
class Watch:
    """What was taken down when, and what answers held.

    Attributes:
        taken_s: item -> monotonic seconds of its takedown's 200.
        shown: items of the last answer.
    """

    taken_s: dict[str, float] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    failure: list[str] = field(default_factory=list)

    def looked_at(self, began_s: float, status: int, page: dict[str, Any]) -> None:
        """Count one answer."""
        self.tally["answers"] += 1
        if status != 200:
            self.tally["not_200"] += 1
            return
        items = [item["item_id"] for item in page["items"]]
        self.tally["items_seen"] += len(items)
        self.tally["empty"] += "visibility_unknown" in page["degraded"]
        self.tally["by_mirror"] += "state_unreachable" in page["degraded"] and bool(items)
        late = [item for item in items if self.taken_s.get(item, began_s) < began_s]
        self.tally["served_after"] += len(late)
        if items:
            self.shown = items


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.takedown", description=__doc__)
    parser.add_argument("--items", type=int, default=BAR_ITEMS, help="to look at, at least")
    parser.add_argument("--seconds", type=float, default=60, help="at least")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    watch = Watch()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".takedown-") as text:
        folder = Path(text)
        make_feed_bundle(folder / "made", ITEMS, options.seed)
        publish(folder / "made", folder / "bundles", "feed")
        with replicas(folder / "bundles", folder, 2) as running:
            observe(running, watch, options)
    figures = dict(watch.tally) | {"takedowns": len(watch.taken_s)}
    bars = {
        f"items_seen >= {BAR_ITEMS}": watch.tally["items_seen"] >= BAR_ITEMS,
        "served_after = 0": watch.tally["served_after"] == 0,
        "takedowns happened": len(watch.taken_s) > 0,
        "every answer is a 200": watch.tally["not_200"] == 0,
    }
    print_report("takedown", figures=figures, bars=bars, seed=options.seed)


def observe(running: Replicas, watch: Watch, options: argparse.Namespace) -> None:
    """Ask, take down and cut until enough was seen."""
    threads = [
        threading.Thread(target=ask, args=(port, watch, options.seed + n))
        for n, port in enumerate(running.ports)
    ]
    threads.append(threading.Thread(target=take_down, args=(running.ports[0], watch)))
    threads.append(threading.Thread(target=cut, args=(running, watch)))
    for thread in threads:
        thread.start()
    until = time.monotonic() + options.seconds
    while time.monotonic() < until or watch.tally["items_seen"] < options.items:
        time.sleep(0.5)
    watch.stop.set()
    for thread in threads:
        thread.join()


def ask(port: int, watch: Watch, seed: int) -> None:
    """Ask one replica for feeds of people who liked some item."""
    caller, chance = Caller(port), random.Random(seed)
    while not watch.stop.is_set():
        liked = {"item_id": f"item-{chance.randrange(ITEMS)}", "type": "like"}
        began_s = time.monotonic()
        watch.looked_at(began_s, *caller.ask("/v1/feed", {"history": [liked], "k": K}))
    caller.close()


def take_down(port: int, watch: Watch) -> None:
    """Take down what was served a moment ago."""
    caller = Caller(port)
    while not watch.stop.wait(BETWEEN_S):
        if not watch.shown:
            continue
        item = watch.shown[0]
        status, _ = caller.ask("/v1/admin/takedowns", {"item_id": item, "reason": "benchmark"})
        if status == 200:
            watch.taken_s[item] = time.monotonic()
        watch.tally[f"takedown_{status}"] += 1
    caller.close()


def cut(running: Replicas, watch: Watch) -> None:
    """Cut the last replica from both state servers, and mend it, by turns."""
    while not watch.stop.wait(WHOLE_S):
        for relay in running.relays:
            relay.cut()
        watch.stop.wait(CUT_S)
        for relay in running.relays:
            relay.mend()


if __name__ == "__main__":
    main()
