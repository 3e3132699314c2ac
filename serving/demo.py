"""The demo: start the server, let three people act, show that each gets a feed of their own.

``python -m serving.demo --events var/demo/events.jsonl`` leaves the server running.
"""

import argparse
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from embeddings.feed_model import KIND
from embeddings.text_model import KIND as MODERATION
from models.bundle import CURRENT, current
from serving import demo_moderation

LOG = Path("var/log/server.log")
PID = Path("var/server.pid")
SHOWN = 20
PRINTED = 6
SERVING = "serving on"  # what the launcher says when all of its parts answer
DEMO_KEY = re.compile(r"demo key: (\S+)")


@dataclass(frozen=True)
class Server:
    """Where the server is, and a key for it."""

    address: str
    key: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    line = argparse.ArgumentParser(prog="serving.demo", description=__doc__)
    line.add_argument("--events", type=Path, required=True, help="JSON lines of some users' events")
    line.add_argument("--bundles", type=Path, default=Path("var/bundles"))
    line.add_argument("--port", type=int, default=8000)
    line.add_argument("--start-limit-s", type=float, default=120)
    options = line.parse_args(arguments)
    address = f"http://127.0.0.1:{options.port}"
    started = start_server(options.port, options.bundles)
    if not wait_until_ready(address, started, options.start_limit_s):
        print(f"the server is not ready; its log is {LOG}", file=sys.stderr)
        return 1
    server = Server(address, printed_key())
    events = [json.loads(text) for text in options.events.read_text("utf-8").splitlines()]
    feeds = {user: feed_after(server, user, own) for user, own in by_user(events).items()}
    titles = read_titles(options.bundles)
    for user, items in feeds.items():
        print_feed(user, items, titles)
    print_overlaps(feeds)
    if (options.bundles / MODERATION / CURRENT).exists():
        demo_moderation.show(server)
    print_next_steps(server, next(iter(feeds)))
    return 0


def start_server(port: int, bundles: Path) -> "subprocess.Popen[bytes]":
    """Start the launcher in a session of its own, so that it outlives this command."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    options = ["--demo", "--port", str(port), "--bundles", str(bundles)]
    command = [sys.executable, "-m", "serving", *options]
    with LOG.open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    PID.write_text(str(server.pid), encoding="utf-8")
    return server


def wait_until_ready(address: str, server: "subprocess.Popen[bytes]", limit_s: float) -> bool:
    """Ask /readyz until it agrees and all parts serve, the server ends or the time is over."""
    print("starting the server ", end="", flush=True)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and server.poll() is None:
        if SERVING in LOG.read_text(encoding="utf-8") and answers(address):
            print(" ready")
            return True
        print(".", end="", flush=True)
        time.sleep(1)
    print()
    return False


def answers(address: str) -> bool:
    """Whether /readyz agrees."""
    try:
        call(Server(address, ""), "/readyz")
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


def by_user(events: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Events of each user, in the order in which users first appear."""
    owned: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        owned.setdefault(str(event["user_id"]), []).append(event)
    return owned


def feed_after(
    server: Server, user: str, events: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Send the user's events, then ask for their feed."""
    call(server, "/v1/events", {"events": list(events)})
    answer = call(server, "/v1/feed", {"user_id": user, "k": SHOWN})
    items: list[Mapping[str, Any]] = answer["items"]
    return items


def printed_key() -> str:
    """The key that the server has printed."""
    found = DEMO_KEY.search(LOG.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"the server printed no key; its log is {LOG}")
    return found[1]


def call(server: Server, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """GET, or POST a JSON body, and return the JSON answer."""
    request = urllib.request.Request(  # noqa: S310 - always http on loopback
        server.address + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "X-API-Key": server.key},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
    return found


def read_titles(bundles: Path) -> dict[str, str]:
    """What to call each item of the current bundle."""
    items = pq.read_table(current(bundles, KIND) / "items.parquet").to_pylist()
    return {
        item["item_id"]: f"{item.get('title') or ''}  [{item.get('category') or item['kind']}]"
        for item in items
    }


def print_feed(user: str, items: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> None:
    """The first places of one feed."""
    print(f"\n{user}")
    for item in items[:PRINTED]:
        name = titles.get(item["item_id"], item["item_id"])
        print(f"  {item['score']:8.2f}  {item['source']:<9} {name}")


def print_overlaps(feeds: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Share of the places that each two users have in common."""
    shown = {user: {item["item_id"] for item in items} for user, items in feeds.items()}
    print()
    for one, two in combinations(shown, 2):
        share = len(shown[one] & shown[two]) / SHOWN
        print(f"overlap of {one} and {two} in the first {SHOWN}: {share:.2f}")


def print_next_steps(server: Server, user: str) -> None:
    """Lines to copy."""
    body = json.dumps({"user_id": user, "k": 5, "explain": True})
    print(
        f"\nThe server goes on running (make stop ends it, {LOG} is its log). Try:\n"
        f"  export KEY={server.key}\n"
        f"  curl -s {server.address}/readyz\n"
        f"  curl -s {server.address}/v1/feed -H \"X-API-Key: $KEY\" -d '{body}'\n"
        f'  curl -s {server.address}/openapi.json -H "X-API-Key: $KEY"'
    )


if __name__ == "__main__":
    sys.exit(main())
