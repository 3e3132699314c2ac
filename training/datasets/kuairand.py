"""KuaiRand-Pure (Gao et al., CIKM 2022): short-video behaviour of Kuaishou.

The folder holds ``user_histories.parquet`` (ordered sequences before the log), the log itself in
``impressions.parquet``, ``videos.parquet`` and ``users.parquet``. The daily statistics are not
read: they average over the log's own days and would leak the future.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.datasets.interactions import EVENTS, Interactions, checked
from training.datasets.tables import days_to_ms, events_table

POSITIVES = ("long_view",)
STEP_MS = 60_000  # histories carry order only: their events are laid one minute apart
LOG_FLAGS = {
    "is_click": "play",
    "long_view": "long_view",
    "is_like": "like",
    "is_comment": "comment",
    "is_forward": "share",
    "is_follow": "follow",
    "is_hate": "not_interested",
}


def load(folder: Path) -> Interactions:
    """Read the folder into the Interactions contract.

    Raises:
        FileNotFoundError: one of the four files is not there.
        ValueError: the tables break the contract.
    """
    histories = pq.read_table(folder / "user_histories.parquet")
    impressions = pq.read_table(folder / "impressions.parquet")
    users = pq.read_table(folder / "users.parquet")
    events = pa.concat_tables([history_events(histories), log_events(impressions)])
    return checked(
        Interactions(
            events=events,
            items=video_items(pq.read_table(folder / "videos.parquet")),
            users=users.set_column(0, "user_id", users["user_id"].cast(pa.string())),
            positives=POSITIVES,
        )
    )


def history_events(histories: pa.Table) -> pa.Table:
    """Events of the ordered sequences, one a shown video and one more a like.

    A shown video is a ``long_view`` where `long_watch_seq` holds it, else an ``impression``. Long
    views and likes that reach further back than `watch_seq` stand before it.
    """
    rows: list[tuple[int, int, int, str]] = []
    for user in histories.to_pylist():
        sequence = merged_sequence(user["watch_seq"], user["long_watch_seq"], user["like_seq"])
        start_ms = user["last_time_ms"] - STEP_MS * (len(sequence) - 1)
        rows.extend(
            (user["user_id"], video, start_ms + STEP_MS * n, action)
            for n, (video, action) in enumerate(sequence)
        )
    users, videos, times, types = zip(*rows, strict=True) if rows else ((), (), (), ())
    return events_table(users, videos, times, types, split="history")


def merged_sequence(
    shown: list[int], long_viewed: list[int], liked: list[int]
) -> list[tuple[int, str]]:
    """One sequence of (video, action), oldest first, out of the three that the source keeps."""
    in_window, long_set, liked_set = set(shown), set(long_viewed), set(liked)
    earlier = [(video, "long_view") for video in long_viewed if video not in in_window]
    earlier += [(video, "like") for video in liked if video not in in_window]
    last_shown = {video: n for n, video in enumerate(shown)}
    sequence = earlier
    for n, video in enumerate(shown):
        sequence.append((video, "long_view" if video in long_set else "impression"))
        if video in liked_set and last_shown[video] == n:
            sequence.append((video, "like"))
    return sequence


def log_events(impressions: pa.Table) -> pa.Table:
    """One ``impression`` a row, and one more event for every reaction flagged on it."""
    flags = [("impression", np.ones(len(impressions), bool))]
    flags += [(name, impressions[flag].to_numpy() == 1) for flag, name in LOG_FLAGS.items()]
    return pa.concat_tables(_flagged(impressions, name, chosen) for name, chosen in flags)


def _flagged(impressions: pa.Table, name: str, chosen: "np.ndarray[Any, Any]") -> pa.Table:
    part = impressions.filter(pa.array(chosen))
    columns = {
        "user_id": part["user_id"].cast(pa.string()),
        "item_id": part["video_id"].cast(pa.string()),
        "time": part["time_ms"],
        "type": pa.repeat(name, len(part)),
        "weight": pa.repeat(1.0, len(part)),
        "duration_ms": part["duration_ms"].cast(pa.float32()),
        "watch_ms": part["play_time_ms"].cast(pa.float32()),
        "split": pa.repeat("log", len(part)),
    }
    return pa.table(columns).cast(EVENTS)


def video_items(videos: pa.Table) -> pa.Table:
    """The videos in the Item contract; what has no field of its own there becomes a tag."""
    records = videos.to_pylist()
    return pa.table(
        {
            "item_id": pa.array([str(v["video_id"]) for v in records]),
            "kind": pa.array(["video"] * len(records)),
            "creator_id": pa.array([str(v["author_id"]) for v in records]),
            "tags": pa.array([video_tags(v) for v in records], pa.list_(pa.string())),
            "duration_ms": pa.array([v["video_duration"] for v in records], pa.float64()),
            "published_at": pa.array([days_to_ms(v["upload_dt"]) for v in records], pa.int64()),
        }
    )


def video_tags(video: dict[str, Any]) -> list[str]:
    """Category ids, upload type, advert flag and music of one video."""
    tags = [tag for tag in (video["tag"] or "").split(",") if tag]
    named = (("upload", "upload_type"), ("type", "video_type"), ("music", "music_id"))
    return tags + [f"{name}:{video[key]}" for name, key in named if video[key] is not None]
