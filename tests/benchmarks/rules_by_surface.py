"""Share of ordinary posts that break a rule, surface by surface.

    python -m tests.benchmarks.rules_by_surface --data ../shared/data

Posts of people who sell nothing: Chinese ones that were labelled as inoffensive, English ones that
were labelled as neither hateful nor offensive, reviews by buyers. Every rule of commerce that they
break is a false alarm, but for the few that do advertise.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs.labels import load_labels
from configs.policy import load_policies
from models.canonical import Channels, read
from serving.moderation.rulebook import RuleBook
from serving.moderation.rules import Evidence
from training.report import print_report

SEED = 7
POLICIES = Path(__file__).parents[2] / "configs/policies"
TALK = ("comment", "chat")  # surfaces where people talk
Find = Callable[[Channels], list[Evidence]]
Keep = Callable[[pa.Table], pa.ChunkedArray]
SETS: dict[str, tuple[str, str, str, Keep]] = {
    "Chinese posts": (
        "coldataset-train/coldataset_train_dev.parquet",
        "text",
        "CN",
        lambda rows: pc.equal(rows["label"], 0),
    ),
    "English posts": (
        "davidson-hate-offensive/labeled_data.parquet",
        "text",
        "US",
        lambda rows: pc.equal(rows["label_name"], "neither"),
    ),
    "English reviews": (
        "womens-clothing-reviews/reviews.parquet",
        "Review Text",
        "US",
        lambda rows: pc.is_valid(rows["Review Text"]),
    ),
}


def main() -> None:
    """Measure and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--posts", type=int, default=2000, help="of each set, drawn at random")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    rows = list(measured(arguments.data, arguments.posts, arguments.seed))
    bars = {
        "of posts where people talk, <= 1 % break a rule": all(
            row["flagged_share"] <= 0.01 for row in rows if row["surface"] in TALK
        )
    }
    sys.exit(not print_report("rules_by_surface", rows=rows, bars=bars, seed=arguments.seed))


def measured(data: Path, posts: int, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each set of posts and surface."""
    labels = load_labels()
    policies = load_policies(POLICIES, labels, ())
    book = RuleBook(POLICIES / "rules", labels)
    for name, (file, column, region, keep) in SETS.items():
        table = pq.read_table(data / file)
        texts = table.filter(keep(table))[column].to_pylist()
        drawn = np.random.default_rng(seed).permutation(len(texts))[:posts]
        readings = [read(texts[n].encode(errors="ignore").decode()) for n in drawn]
        for surface in policies.surfaces:
            without = policies.of(region, surface).without_rules
            find = partial(book.find, region=region, without=without)
            yield {"posts": name, "surface": surface, **flagged(find, readings)}


def flagged(find: Find, readings: list[Channels]) -> dict[str, Any]:
    """How many texts break a rule, and of which labels."""
    broken = [{one.label for one in find(reading) if one.violates} for reading in readings]
    by_label = Counter(label for labels in broken for label in labels)
    return {
        "n": len(readings),
        "flagged_share": round(sum(map(bool, broken)) / len(readings), 4),
        "by_label": dict(sorted(by_label.items())),
    }


if __name__ == "__main__":
    main()
