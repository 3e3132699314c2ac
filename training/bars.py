"""What a trained retrieval model must reach, per dataset and protocol."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

ReportRows = Sequence[Mapping[str, Any]]
Intervals = Mapping[str, Mapping[str, Sequence[float]]]


def value(rows: ReportRows, model: str, metric: str) -> float:
    """One cell of the table."""
    return float(next(row[metric] for row in rows if row["model"] == model))


def kuairand_unseen_users(rows: ReportRows, intervals: Intervals) -> dict[str, bool]:
    """Clearly above EASE, each with its penalty chosen per metric."""
    ease = intervals["ease"]
    return {
        "recall@50 >= 1.04 x EASE": ease["recall@50"][0] >= 1.04,
        "recall@200 >= 1.06 x EASE": ease["recall@200"][0] >= 1.06,
        "lower ends >= 1.00": min(ease["recall@50"][1], ease["recall@200"][1]) >= 1.0,
    }


def movielens_random(rows: ReportRows, intervals: Intervals) -> dict[str, bool]:
    """The level of EASE on the same split."""
    return {"ndcg@10 >= 0.328": value(rows, "two_tower", "ndcg@10") >= 0.328}


def amazon_leave_last_out(rows: ReportRows, intervals: Intervals) -> dict[str, bool]:
    """Above the best plain item-item model."""
    best = max(value(rows, model, "ndcg@10") for model in ("item_item", "ease"))
    return {
        "ndcg@10 >= 1.05 x the best of item-item and EASE": (
            value(rows, "two_tower", "ndcg@10") >= 1.05 * best
        )
    }


def kuairand_cold_items(rows: ReportRows, intervals: Intervals) -> dict[str, bool]:
    """Content tells more than popularity that is predicted from the same content."""
    return {
        "recall@50 >= 1.05 x popularity by content": intervals["popularity"]["recall@50"][0] >= 1.05
    }


RETRIEVAL_BARS: Mapping[tuple[str, str], Callable[[ReportRows, Intervals], dict[str, bool]]] = {
    ("kuairand", "unseen-users"): kuairand_unseen_users,
    ("movielens", "random-8-1-1"): movielens_random,
    ("amazon", "leave-last-out"): amazon_leave_last_out,
    ("kuairand", "cold-items"): kuairand_cold_items,
}
