"""Both state servers are down for a while under load: what feeds, events and takedowns do.

``python -m tests.benchmarks.state_outage`` runs two launchers over one pair of state servers.
"""

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from models.bundle import publish
from tests.benchmarks.calls import Caller, event
from tests.benchmarks.replicas import Replicas, replicas
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

ITEMS = 2_000
BEFORE_S, AFTER_S = 5.0, 8.0
WELL_S = 1.0
BAR_RECOVERY_S, BAR_MORE_SHARE = 5.0, 0.01
DEGRADED = {"state_unreachable", "visibility_unknown"}


class Answer(NamedTuple):
    """One answer.

    Attributes:
        what: feed or events. replica: its number.
        began_s: when it was asked for. status: of HTTP, 0 without an answer.
        trouble: why it is less than it should be; empty for a good one.
        items: of a feed.
    """

    what: str
    replica: int
    began_s: float
    status: int
    trouble: str = ""
    items: frozenset[str] = frozenset()


@dataclass
class Seen:
    """Every answer, and whether to ask for more."""

    answers: list[Answer] = field(default_factory=list)
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
        f"afterwards no worse than before, +{BAR_MORE_SHARE:.0%}": figures["late_share"]
        <= figures["early_share"] + BAR_MORE_SHARE,
    }
    print_report("state_outage", figures=figures, bars=bars, seed=options.seed)


def outage(running: Replicas, seconds: float) -> dict[str, Any]:
    """Stop the state, take an item down meanwhile, start the state again."""
    seen = Seen()
    threads = [
        threading.Thread(target=client, args=(replica, port, seen))
        for replica, port in enumerate(running.ports)
        for client in (ask, tell)
    ]
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
    return told(seen.answers, down_s, up_s, done_s) | {"takedown": status}


def told(answers: Sequence[Answer], down_s: float, up_s: float, done_s: float) -> dict[str, Any]:
    """Figures of a run: seconds of the outage's begin and end, and of the takedown's 200."""
    feeds = [one for one in answers if one.what == "feed"]
    refused = [
        one.status for one in answers if one.what == "events" and down_s < one.began_s < up_s - 1
    ]
    well_s = recovered_s([one.began_s for one in answers if one.trouble], up_s)
    before = [one for one in answers if one.began_s < down_s - WELL_S]
    after = [one for one in answers if one.began_s > well_s]
    late = Counter(f"{one.what} of {one.replica}: {one.trouble}" for one in after if one.trouble)
    return {
        "feeds": len(feeds),
        "feeds_5xx": sum(one.status >= 500 or not one.status for one in feeds),
        "feeds_degraded": sum(bool(one.trouble) for one in feeds),
        "events_in_outage": dict(Counter(str(status) for status in refused)),
        "recovery_s": well_s - up_s,
        "early_share": sum(bool(one.trouble) for one in before) / len(before),
        "late": dict(late),
        "late_share": sum(late.values()) / len(after),
        "takedown_done_s": done_s - up_s,
        "served_after": sum("item-7" in one.items for one in feeds if one.began_s > done_s),
    }


def recovered_s(troubled_s: Sequence[float], up_s: float) -> float:
    """The last trouble before WELL_S without any.

    A single answer that comes seconds later, because a disk or a core was busy, tells of the
    machine and not of the outage: those are counted by themselves.
    """
    recovered = up_s
    for began_s in sorted(began_s for began_s in troubled_s if began_s > up_s):
        if began_s > recovered + WELL_S:
            break
        recovered = began_s
    return recovered


def ask(replica: int, port: int, seen: Seen) -> None:
    """Ask for feeds of people who liked some item."""
    caller, chance = Caller(port), random.Random(replica)
    while not seen.stop.wait(0.01):
        liked = {"item_id": f"item-{chance.randrange(ITEMS)}", "type": "like"}
        began_s = time.monotonic()
        body = {"user_id": f"user-{chance.randrange(10**9)}", "history": [liked], "k": 20}
        status, page = caller.ask("/v1/feed", body)
        items = frozenset(item["item_id"] for item in page.get("items", ()))
        codes = sorted(DEGRADED.intersection(page.get("degraded", ())))
        trouble = ", ".join(codes) if status == 200 else str(status)
        seen.answers.append(Answer("feed", replica, began_s, status, trouble, items))
    caller.close()


def tell(replica: int, port: int, seen: Seen) -> None:
    """Report events, and send a refused one no more."""
    caller = Caller(port)
    while not seen.stop.wait(0.05):
        began_s = time.monotonic()
        liked = event("teller", "item-1", int(time.time() * 1000))
        status, _ = caller.ask("/v1/events", {"events": [liked]})
        trouble = "" if status == 202 else str(status)
        seen.answers.append(Answer("events", replica, began_s, status, trouble))
    caller.close()


if __name__ == "__main__":
    main()
