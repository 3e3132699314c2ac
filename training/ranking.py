"""Full rankings of cases, by whatever scores them, and the metrics of those rankings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors
from training.baselines import Baseline
from training.log import ragged
from training.metrics import Floats, coverage, gini, hits, ndcg, recall
from training.protocols import Cases

DEPTH = 200
BATCH = 512
METRICS = {
    "recall@20": (recall, 20),
    "recall@50": (recall, 50),
    "recall@200": (recall, 200),
    "ndcg@10": (ndcg, 10),
    "ndcg@20": (ndcg, 20),
}


@dataclass(frozen=True)
class Ranking:
    """The first K items for each of U cases.

    Attributes:
        rows: [U, K], best first; -1 where fewer may be ranked.
        per_user: metric name to [U] values.
    """

    rows: Rows
    per_user: Mapping[str, Floats]

    def mean(self, metric: str) -> float:
        """The metric's mean over users."""
        return float(self.per_user[metric].mean())


def rankable(cases: Cases, item_count: int) -> Mask:
    """[U, N], true where an item may be ranked for a case: a candidate that is not seen."""
    allowed = np.ones((len(cases), item_count), bool)
    if cases.candidates is not None:
        allowed[:] = cases.candidates
    owners = np.repeat(np.arange(len(cases)), np.diff(cases.seen.offsets))
    allowed[owners, cases.seen.values] = False
    return allowed


def batches(cases: Cases, size: int = BATCH) -> Iterator[Cases]:
    """The cases in parts of at most `size` users."""
    for start in range(0, len(cases), size):
        yield part(cases, range(start, min(start + size, len(cases))))


def part(cases: Cases, places: Sequence[int]) -> Cases:
    """The cases at the given places."""
    return Cases(
        cases.users[list(places)],
        [cases.histories[place] for place in places],
        ragged([cases.targets[place] for place in places]),
        ragged([cases.seen[place] for place in places]),
        cases.candidates,
    )


def sampled_cases(cases: Cases, most: int, seed: int) -> Cases:
    """At most `most` of the cases, drawn by the seed."""
    order = np.random.default_rng(seed).permutation(len(cases))[:most]
    return part(cases, sorted(order.tolist()))


def best_rows(scores: Vectors, allowed: Mask, k: int) -> Rows:
    """[U, k] rows of the highest allowed scores, best first; -1 where fewer are allowed."""
    k = min(k, scores.shape[1])
    masked = np.where(allowed, scores, -np.inf)
    top = np.argpartition(-masked, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(masked, top, 1), axis=1, kind="stable")
    rows = np.take_along_axis(top, order, 1)
    found: NDArray[np.int64] = np.where(
        np.isfinite(np.take_along_axis(masked, rows, 1)), rows, -1
    ).astype(np.int64)
    return found


def rank_baseline(baseline: Baseline, cases: Cases, decay: float, item_count: int) -> Ranking:
    """Rank the whole catalogue for every case by a baseline's scores."""
    rows = [
        best_rows(baseline.scores(some, decay), rankable(some, item_count), DEPTH)
        for some in batches(cases)
    ]
    return measured(np.concatenate(rows), cases)


def measured(rows: Rows, cases: Cases) -> Ranking:
    """The ranking with each metric of each user."""
    found = hits(rows, cases.targets)
    counts = np.diff(cases.targets.offsets)
    return Ranking(rows, {name: f(found, counts, k) for name, (f, k) in METRICS.items()})


def summary(ranking: Ranking, cases: Cases, item_count: int) -> dict[str, float]:
    """Every metric's mean, and how widely the first 20 places are spread over the catalogue."""
    shown = ranking.rows[:, :20]
    means = {name: ranking.mean(name) for name in METRICS}
    return means | {
        "coverage@20": coverage(shown, item_count),
        "gini@20": gini(shown, item_count),
    }


def by_activity(ranking: Ranking, cases: Cases, metric: str = "recall@50") -> dict[str, float]:
    """The metric in the thirds of users by length of history."""
    lengths = np.array([len(history) for history in cases.histories])
    low, high = np.quantile(lengths, [1 / 3, 2 / 3])
    thirds = {"low": lengths <= low, "middle": (lengths > low) & (lengths <= high)}
    thirds["high"] = lengths > high
    values = ranking.per_user[metric]
    return {name: float(values[chosen].mean()) for name, chosen in thirds.items() if chosen.any()}


def by_item_age(
    ranking: Ranking, cases: Cases, age_thirds: Rows, depth: int = 50
) -> dict[str, float]:
    """Share of targets found within `depth`, by the items' age.

    Args:
        ranking: of the cases.
        cases: whose targets are counted.
        age_thirds: [N], 0 for the newest third of items, 2 for the oldest.
        depth: places that count.
    """
    owners = np.repeat(np.arange(len(cases)), np.diff(cases.targets.offsets))
    found = (ranking.rows[owners, :depth] == cases.targets.values[:, None]).any(1)
    third = age_thirds[cases.targets.values]
    names = ("newest", "middle", "oldest")
    return {
        name: float(found[third == t].mean()) for t, name in enumerate(names) if (third == t).any()
    }
