"""Marginals of behaviour, and how near a simulated log's stand to KuaiRand's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.arrays import Mask, Rows
from training.datasets.interactions import Interactions
from training.datasets.world.reactions import SKIP_MS

Floats = NDArray[np.float64]

RATES = ("play", "long_view", "like", "comment", "share", "follow", "not_interested")
KUAIRAND_FLAGS = {
    "play": "is_click",
    "long_view": "long_view",
    "like": "is_like",
    "comment": "is_comment",
    "share": "is_forward",
    "follow": "is_follow",
    "not_interested": "is_hate",
}
FEED_TAB = 1  # KuaiRand's main feed, one video after another; other tabs are grids and searches
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
DURATION_EDGES_S = (7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300)


@dataclass(frozen=True)
class Views:
    """V views of videos, and how much each user and item was seen.

    Attributes:
        user_rows, item_rows: [V]. watch_ms, duration_ms: [V], durations above 0.
        reactions: [V] by name, of ``RATES``.
        history_lengths: [U] impressions of each user who has any.
        item_views: [N] impressions of each item of the catalogue.
    """

    user_rows: Rows
    item_rows: Rows
    watch_ms: Floats
    duration_ms: Floats
    reactions: Mapping[str, Mask]
    history_lengths: Rows
    item_views: Rows


def kuairand_views(folder: Path, tabs: tuple[int, ...] | None = (FEED_TAB,)) -> Views:
    """Views of KuaiRand's log on the given tabs, or on all; histories are of all tabs."""
    impressions = pq.read_table(folder / "impressions.parquet")
    if tabs is not None:
        impressions = impressions.filter(pc.is_in(impressions["tab"], pa.array(tabs)))
    videos = pq.read_table(folder / "videos.parquet", columns=["video_id"])
    histories = pq.read_table(folder / "user_histories.parquet", columns=["history_len_total"])
    shown = impressions["video_id"].to_numpy()
    timed = impressions.filter(pc.greater(impressions["duration_ms"], 0))
    return Views(
        user_rows=timed["user_id"].to_numpy().astype(np.int64),
        item_rows=timed["video_id"].to_numpy().astype(np.int64),
        watch_ms=timed["play_time_ms"].to_numpy().astype(np.float64),
        duration_ms=timed["duration_ms"].to_numpy().astype(np.float64),
        reactions={name: timed[flag].to_numpy() == 1 for name, flag in KUAIRAND_FLAGS.items()},
        history_lengths=histories["history_len_total"].to_numpy().astype(np.int64),
        item_views=np.bincount(shown, minlength=len(videos)),
    )


def simulated_views(log: Interactions) -> Views:
    """Views of a simulated log's videos; a reaction joins its impression by user and time."""
    events = log.events
    users = pc.index_in(events["user_id"], log.users["user_id"].combine_chunks()).to_numpy()
    items = pc.index_in(events["item_id"], log.items["item_id"].combine_chunks()).to_numpy()
    types, times = events["type"], events["time"].to_numpy()
    shown = pc.equal(types, "impression").to_numpy()
    keys = users.astype(np.int64) << 44 | (times - times.min())
    video = shown & events["duration_ms"].is_valid().to_numpy()
    return Views(
        user_rows=users[video],
        item_rows=items[video],
        watch_ms=events["watch_ms"].to_numpy()[video].astype(np.float64),
        duration_ms=events["duration_ms"].to_numpy()[video].astype(np.float64),
        reactions={
            name: np.isin(keys[video], keys[pc.equal(types, name).to_numpy()]) for name in RATES
        },
        history_lengths=np.unique(users[shown], return_counts=True)[1],
        item_views=np.bincount(items[shown], minlength=len(log.items)),
    )


def marginals(views: Views) -> dict[str, float]:
    """Rates, watch-ratio quantiles, history lengths, popularity skew and spread of long views."""
    ratio = views.watch_ms / views.duration_ms
    lengths = views.history_lengths
    found = {f"{name}_rate": float(views.reactions[name].mean()) for name in RATES}
    found |= {
        "complete_rate": float((ratio >= 1.0).mean()),
        "skip_rate": float((views.watch_ms < SKIP_MS).mean()),
    }
    found |= {f"watch_ratio_p{q * 100:.0f}": float(np.quantile(ratio, q)) for q in QUANTILES}
    found |= {"history_mean": float(lengths.mean())}
    found |= {f"history_p{q * 100:.0f}": float(np.quantile(lengths, q)) for q in QUANTILES}
    return found | {
        "item_gini": gini(views.item_views),
        "item_top1_share": top_share(views.item_views, 0.01),
        "item_top10_share": top_share(views.item_views, 0.1),
        "item_spread": long_view_spread(views, views.item_rows),
        "user_spread": long_view_spread(views, views.user_rows),
    }


def gini(counts: Rows) -> float:
    """Gini coefficient of counts, 0 = all equal."""
    ordered, n = np.sort(counts), len(counts)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))


def top_share(counts: Rows, share: float) -> float:
    """What the most viewed `share` of all items takes of all views."""
    ordered = np.sort(counts)[::-1]
    return float(ordered[: max(round(share * len(counts)), 1)].sum() / counts.sum())


def long_view_spread(views: Views, owners: Rows) -> float:
    """Standard deviation of owners' long-view rates beyond chance, durations accounted for.

    Method of moments: the variance of an owner's surplus is n² τ² plus the binomial variance.
    """
    bucket = np.digitize(views.duration_ms / 1000.0, DURATION_EDGES_S)
    long_view = views.reactions["long_view"].astype(np.float64)
    count = np.maximum(np.bincount(bucket), 1)
    expected = (np.bincount(bucket, long_view) / count)[bucket]
    n = np.bincount(owners)
    surplus = np.bincount(owners, long_view - expected)
    noise = np.bincount(owners, expected * (1.0 - expected))
    kept = n >= 5
    variance = (surplus[kept] ** 2 - noise[kept]).sum() / max((n[kept] ** 2).sum(), 1)
    return float(np.sqrt(max(variance, 0.0)))


def ratio_distance(first: Views, second: Views) -> float:
    """Kolmogorov-Smirnov distance between two distributions of the watch ratio."""
    a = np.sort(first.watch_ms / first.duration_ms)
    b = np.sort(second.watch_ms / second.duration_ms)
    grid = np.concatenate([a, b])
    below_a = np.searchsorted(a, grid, side="right") / len(a)
    below_b = np.searchsorted(b, grid, side="right") / len(b)
    return float(np.abs(below_a - below_b).max())


ABSOLUTE = {  # how far a simulated marginal may stand from KuaiRand's feed tab
    "play_rate": 0.06,
    "long_view_rate": 0.05,
    "complete_rate": 0.04,
    "skip_rate": 0.06,
    "watch_ratio_p50": 0.05,
    "item_gini": 0.1,
    "item_top1_share": 0.08,
    "item_top10_share": 0.12,
    "item_spread": 0.05,
    "user_spread": 0.05,
}
RELATIVE = {  # and by which factor, where rates are small or scales free
    "like_rate": 1.35,
    "comment_rate": 1.5,
    "share_rate": 1.6,
    "follow_rate": 1.5,
    "not_interested_rate": 1.6,
    "history_mean": 1.3,
    "history_p50": 1.3,
    "history_p90": 1.3,
}
RATIO_DISTANCE = 0.08


def bars(
    simulated: Mapping[str, float], real: Mapping[str, float], distance: float
) -> dict[str, bool]:
    """What must hold for a world to pass as fitted, in words."""
    held = {f"watch ratio: distance <= {RATIO_DISTANCE}": distance <= RATIO_DISTANCE}
    for name, limit in ABSOLUTE.items():
        held[f"{name} within {limit}"] = abs(simulated[name] - real[name]) <= limit
    for name, factor in RELATIVE.items():
        near = real[name] / factor <= simulated[name] <= real[name] * factor
        held[f"{name} within a factor {factor}"] = near
    return held


def comparison(log: Interactions, folder: Path) -> tuple[list[dict[str, Any]], dict[str, bool]]:
    """Rows (simulator, KuaiRand's feed tab, all its tabs) and the bars against the feed tab."""
    simulated, feed = simulated_views(log), kuairand_views(folder)
    distance = ratio_distance(simulated, feed)
    ours, real = marginals(simulated), marginals(feed)
    rows = [
        {"behaviour": "simulator", **ours, "watch_ratio_distance": distance},
        {"behaviour": "kuairand feed tab", **real},
        {"behaviour": "kuairand all tabs", **marginals(kuairand_views(folder, tabs=None))},
    ]
    return rows, bars(ours, real, distance)
