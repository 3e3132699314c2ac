"""What variety costs: pages of 20 by the repository's rules and without selectors.

``python -m tests.benchmarks.diversity --bundle FOLDER`` takes a bundle that was trained on the
simulated world of its own seed. Users see the same candidates twice; likeness is the mean cosine of
all pairs of a page, in the bundle's retrieval vectors and in the world's own. What a page is worth
is what the world's users get from it, the mean of many draws that both ways share.
"""

import argparse
import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embeddings.feed_model import KIND
from models.arrays import Rows, Vectors
from models.bundle import open_bundle
from serving.app import read_settings
from serving.feed.contracts import Behaviour, FeedRequest
from serving.feed.controls import SELECTORS
from serving.feed.engine import FeedEngine
from serving.feed.rules import FeedRules
from serving.feed.terms import Standing
from serving.feed_bundle import load_bundle
from tests.benchmarks.feed_page import CONFIG
from training.datasets.simulator import (
    Memory,
    World,
    begin_sessions,
    fresh_memory,
    log_of,
    respond,
    settings_at,
    values,
    world_of,
)
from training.report import print_report

K, EVENTS = 20, 200


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.diversity", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--strengths", type=float, nargs="*", default=[], help="further ones")
    options = parser.parse_args()
    manifest = open_bundle(options.bundle, KIND).manifest
    seed = manifest.seed
    settings = settings_at(None)
    world = world_of(settings, seed)
    memory = fresh_memory(world)
    log = log_of(settings, world, seed, memory)
    rules = read_settings(CONFIG, {}).rulebook.rules(None, None, 0).unhurried
    plain = replace(rules, killed=frozenset(f"selector:{name}" for name in SELECTORS))
    stronger = [
        replace(rules, diversity=replace(rules.diversity, strength=one))
        for one in options.strengths
    ]
    engine = load_bundle(options.bundle, rules).engine
    users = np.random.default_rng([seed, 9]).permutation(world.users.num_rows)[: options.users]
    requests = asked(log.events, world, users)
    compared = [pages(engine, requests, one) for one in (plain, rules, *stronger)]
    ways = ["without selectors", f"{rules.diversity.strength:g}", *map(str, options.strengths)]
    judge = Judge(world, memory, users, engine, options.draws)
    judged = [judge.figures(shown) for shown in compared]
    rows = [{"strength": way} | figures for way, figures in zip(ways, judged, strict=True)]
    likeness = judged[1]["likeness"] / judged[0]["likeness"]
    loss = 1 - judged[1]["value"] / judged[0]["value"]
    figures = {
        "likeness_ratio": likeness,
        "value_loss": loss,
        "users": len(users),
        "ranker": engine.ranker is not None,
        "rows": rows,
    }
    bars = {"likeness <= 0.8 x": likeness <= 0.8, "value lost <= 2 %": loss <= 0.02}
    print_report("diversity", figures=figures, bars=bars, seed=seed)


def asked(events: pa.Table, world: World, users: Rows) -> list[FeedRequest]:
    """A request of each user, with what they did and saw in the log."""
    now_ms = pc.max(events["time"]).as_py() + 1
    recent: dict[str, list[Behaviour]] = {}
    seen: dict[str, list[str]] = {}
    for event in events.sort_by("time").select(["user_id", "item_id", "type", "time"]).to_pylist():
        seen.setdefault(event["user_id"], []).append(event["item_id"])
        if event["type"] != "impression":
            told = Behaviour(event["item_id"], event["type"], event["time"])
            recent.setdefault(event["user_id"], []).append(told)
    people = world.users.select(["user_id", "region", "language", "birth_year"]).to_pylist()
    return [
        FeedRequest(
            K,
            now_ms,
            recent=tuple(recent.get(one["user_id"], [])[-EVENTS:]),
            seen=tuple(seen.get(one["user_id"], [])),
            standing=Standing(one["region"], one["language"], adult=True),
        )
        for one in (people[row] for row in users.tolist())
    ]


def pages(engine: FeedEngine, requests: list[FeedRequest], rules: FeedRules) -> Rows:
    """Item rows [B, K] of one page each, -1 where a page is short."""
    shown = np.full((len(requests), K), -1)
    for page, request in zip(shown, requests, strict=True):
        ids = [item.item_id for item in engine.feed(request, rules).items]
        page[: len(ids)] = engine.model.vocabulary.rows(ids)
    return shown


@dataclass(frozen=True)
class Judge:
    """Meets pages with the users of a world.

    Attributes:
        memory: of the users, as the log leaves them. users: [B] rows.
        engine: whose rows and vectors pages are made of. draws: responses to each page.
    """

    world: World
    memory: Memory
    users: Rows
    engine: FeedEngine
    draws: int

    def figures(self, shown: Rows) -> dict[str, float]:
        """Mean likeness of the pages [B, K], by the bundle and by the world, and their value."""
        model = self.engine.model
        ids = [model.vocabulary.item_id(row) for row in range(len(model.vocabulary))]
        of_world = {one: n for n, one in enumerate(self.world.items["item_id"].to_pylist())}
        world_rows = np.array([of_world[one] for one in ids])
        theirs = np.where(shown >= 0, world_rows[shown], -1)
        branches = self.world.items["category"].to_pylist()
        _, leaves = np.unique([branches[row] for row in world_rows], return_inverse=True)
        one_hot = np.eye(leaves.max() + 1, dtype=np.float32)[leaves]
        return {
            "likeness": likeness(self.engine.space.unit(np.arange(len(ids))), shown),
            "true_likeness": likeness(unit(self.world.item_traits.vectors), theirs),
            "same_category": likeness(one_hot, shown),
            "value": self.value(theirs),
        }

    def value(self, shown: Rows) -> float:
        """Mean value of a page to its user, over the same draws whatever is shown."""
        total = 0.0
        start_ms = np.full(len(self.users), int(self.world.start_ms) + 14 * 86_400_000)
        for draw in range(self.draws):
            memory = copy.deepcopy(self.memory)
            begin_sessions(memory, self.users)
            rng = np.random.default_rng([draw, 11])
            told = respond(self.world, self.users, shown, start_ms, rng, memory)
            total += float(values(told).sum(axis=1).mean())
        return total / self.draws


def unit(vectors: Vectors) -> Vectors:
    """The same directions at length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def likeness(unit: Vectors, shown: Rows) -> float:
    """Mean product of all pairs of a page, over pages [B, K] without gaps."""
    whole = shown[(shown >= 0).all(axis=1)]
    sums = unit[whole].sum(axis=1)
    pairs = ((sums**2).sum(axis=1) - K) / (K * (K - 1))
    return float(pairs.mean())


if __name__ == "__main__":
    main()
