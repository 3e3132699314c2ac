"""Events of a few simulated people, for the demo: ``python -m training.demo_events --out FILE``.

The people are drawn by the seed among those with enough behaviour; nothing else chooses them.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.interactions import Interactions
from training.datasets.load import load_dataset

EVENTS = 40


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw people and write their newest events, oldest first."""
    line = argparse.ArgumentParser(prog="training.demo_events", description=__doc__)
    line.add_argument("--out", type=Path, required=True)
    line.add_argument("--people", type=int, default=3)
    line.add_argument("--seed", type=int, default=0)
    options = line.parse_args(arguments)
    data = load_dataset("simulator", None, options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(event) for event in demo_events(data, options.people, options.seed)]
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} events of {options.people} people in {options.out}")


def demo_events(data: Interactions, people: int, seed: int) -> list[dict[str, Any]]:
    """The newest ``EVENTS`` events of each of some people, as the events endpoint takes them."""
    owners = data.events["user_id"].to_numpy(zero_copy_only=False)
    users, counts = np.unique(owners, return_counts=True)
    drawn = np.random.default_rng(seed).choice(users[counts >= EVENTS], people, replace=False)
    events = []
    for user in drawn:
        own = data.events.filter(owners == user).sort_by("time").to_pylist()
        events += [served(event, n) for n, event in enumerate(own[-EVENTS:])]
    return events


def served(event: dict[str, Any], n: int) -> dict[str, Any]:
    """One event in the shape of ``POST /v1/events``; a long view is a play watched long."""
    known = {
        "event_id": f"demo-{event['user_id']}-{n}",
        "user_id": event["user_id"],
        "item_id": event["item_id"],
        "type": "play" if event["type"] == "long_view" else event["type"],
        "time": event["time"],
        "watch_ms": event["watch_ms"],
    }
    return {name: value for name, value in known.items() if value is not None}


if __name__ == "__main__":
    main()
