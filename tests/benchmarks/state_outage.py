"""Both state servers are down for a while under load: what feeds, events and takedowns do.

``python -m tests.benchmarks.state_outage`` runs two launchers over one pair of state servers.
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
from tests.benchmarks.calls import Caller, event
from tests.benchmarks.replicas import Replicas, replicas
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

ITEMS = 2_000
BEFORE_S, AFTER_S = 3.0, 8.0
BAR_RECOVERY_S = 5.0
DEGRADED = {"state_unreachable", "visibility_unknown"}


@dataclass
class Seen:
    """Every answer: when it was asked for and how it went.

    Attributes:
        feeds: began s, status, degraded by the outage, items. events: began s, status.
    """

    feeds: list[tuple[float, int, bool, frozenset[str]]] = field(default_factory=list)
    events: list[tuple[float, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.state_outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="of the outage")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".state-outage-") as text:
        folder = Path(text)
        make_feed_bundle(folder / "made", ITEMS, options.seed)
        publish(folder / "made", folder / "bundles", "feed")
        with replicas(folder / "bundles", folder, 2) as running:
            figures = outage(running, options.seconds)
    bars = {
        "no feed is answered 5xx": figures["feeds_5xx"] == 0,
        "events are refused with 503": set(figures["events_in_outage"]) == {"503"},
        "a takedown during the outage is pending": figures["takedown"] == 202,
        "once it is done it is served to nobody": figures["served_after"] == 0,
        f"recovery <= {BAR_RECOVERY_S:.0f} s": figures["recovery_s"] <= BAR_RECOVERY_S,
    }
    print_report("state_outage", figures=figures, bars=bars, seed=options.seed)


def outage(running: Replicas, seconds: float) -> dict[str, Any]:
    """Stop the state, take an item down meanwhile, start the state again."""
    seen = Seen()
    threads = [threading.Thread(target=ask, args=(port, seen)) for port in running.ports]
    threads += [threading.Thread(target=tell, args=(port, seen)) for port in running.ports]
    for thread in threads:
        thread.start()
    time.sleep(BEFORE_S)
    running.log.stop()
    running.live.stop()
    down_s = time.monotonic()
    operator = Caller(running.ports[0])
    order = {"item_id": "item-7", "reason": "benchmark"}
    status, _ = operator.ask("/v1/admin/takedowns", order)
    time.sleep(max(0.0, down_s + seconds - time.monotonic()))
    up_s = time.monotonic()
    running.log.start()
    running.live.start()
    while operator.ask("/v1/admin/takedowns", order)[0] != 200:
        time.sleep(0.1)
    done_s = time.monotonic()
    time.sleep(AFTER_S)
    seen.stop.set()
    for thread in threads:
        thread.join()
    operator.close()
    return told(seen, down_s, up_s, done_s) | {"takedown": status}


def told(seen: Seen, down_s: float, up_s: float, done_s: float) -> dict[str, Any]:
    """Figures of a run: seconds of the outage's begin and end, and of the takedown's 200."""
    inside = [(began, status) for began, status in seen.events if down_s < began < up_s - 1]
    troubled = [began for began, status, degraded, _ in seen.feeds if degraded or status != 200]
    refused = [began for began, status in seen.events if status != 202]
    served = [items for began, _, _, items in seen.feeds if began > done_s]
    return {
        "feeds": len(seen.feeds),
        "feeds_5xx": sum(status >= 500 or not status for _, status, _, _ in seen.feeds),
        "feeds_degraded": len(troubled),
        "events_in_outage": dict(Counter(str(status) for _, status in inside)),
        "recovery_s": max(0.0, max([*troubled, *refused], default=up_s) - up_s),
        "takedown_done_s": done_s - up_s,
        "served_after": sum("item-7" in items for items in served),
    }


def ask(port: int, seen: Seen) -> None:
    """Ask for feeds of people who liked some item."""
    caller, chance = Caller(port), random.Random(port)
    while not seen.stop.wait(0.01):
        liked = {"item_id": f"item-{chance.randrange(ITEMS)}", "type": "like"}
        began_s = time.monotonic()
        body = {"user_id": f"user-{chance.randrange(10**9)}", "history": [liked], "k": 20}
        status, page = caller.ask("/v1/feed", body)
        items = frozenset(item["item_id"] for item in page.get("items", ()))
        degraded = bool(DEGRADED & set(page.get("degraded", ())))
        seen.feeds.append((began_s, status, degraded, items))
    caller.close()


def tell(port: int, seen: Seen) -> None:
    """Report events, and send a refused one no more."""
    caller = Caller(port)
    while not seen.stop.wait(0.05):
        began_s = time.monotonic()
        liked = event("teller", "item-1", int(time.time() * 1000))
        seen.events.append((began_s, caller.ask("/v1/events", {"events": [liked]})[0]))
    caller.close()


if __name__ == "__main__":
    main()
