"""Anyone's behaviour in our own contract: events, items and users as Parquet, CSV or JSON lines.

The folder holds ``events``, and optionally ``items`` and ``users``, each with one of the endings
below. `user_id`, `item_id` and `time` (ms) are required of events; what else the contract names may
be left out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from models.features import ACTIONS, action_of
from training.datasets.interactions import Interactions, checked

READERS: dict[str, Callable[[Path], Any]] = {
    ".parquet": pq.read_table,
    ".csv": pacsv.read_csv,
    ".jsonl": pajson.read_json,
}
POSITIVES = ("long_view", "complete", "like", "share", "comment", "add_cart", "purchase", "rating")
DEFAULTS = {"type": "play", "weight": 1.0, "duration_ms": None, "watch_ms": None, "split": "log"}


def load(folder: Path) -> Interactions:
    """Read the folder; a ``play`` watched long enough becomes a ``long_view``.

    Raises:
        FileNotFoundError: there is no events file.
        ValueError: a required column is missing, or the tables break the contract.
    """
    events = read_table(folder, "events")
    if events is None:
        raise FileNotFoundError(f"{folder}: no events with an ending of {sorted(READERS)}")
    events = with_defaults(events, folder)
    return interactions_of(events, read_table(folder, "items"), read_table(folder, "users"))


def interactions_of(
    events: pa.Table, items: pa.Table | None, users: pa.Table | None
) -> Interactions:
    """Tables with every column of the contract, checked; plays become long views where they are.

    Raises:
        ValueError: the tables break the contract.
    """
    events = with_long_views(events)
    return checked(
        Interactions(
            events,
            identified(items, events, "item_id"),
            identified(users, events, "user_id"),
            tuple(t for t in POSITIVES if t in set(events["type"].to_pylist())) or ("play",),
        )
    )


def read_table(folder: Path, name: str) -> pa.Table | None:
    """The table `name` in whichever supported format it stands, or None."""
    for ending, read in READERS.items():
        path = folder / f"{name}{ending}"
        if path.exists():
            return read(path)
    return None


def with_defaults(events: pa.Table, folder: Path) -> pa.Table:
    """Events with string ids and every optional column of the contract.

    Raises:
        ValueError: user_id, item_id or time is missing.
    """
    missing = [c for c in ("user_id", "item_id", "time") if c not in events.column_names]
    if missing:
        raise ValueError(f"{folder}: events lack {missing}; found {events.column_names}")
    for column in ("user_id", "item_id"):
        position = events.column_names.index(column)
        events = events.set_column(position, column, events[column].cast(pa.string()))
    for column, default in DEFAULTS.items():
        if column not in events.column_names:
            events = events.append_column(column, pa.array([default] * len(events)))
    return events


def with_long_views(events: pa.Table) -> pa.Table:
    """Events whose plays are renamed to long views where the watched time says so."""
    columns = (events[name].to_pylist() for name in ("type", "watch_ms", "duration_ms"))
    types = [
        ACTIONS[action_of(kind, watched, duration)] if kind == "play" else kind
        for kind, watched, duration in zip(*columns, strict=True)
    ]
    return events.set_column(events.column_names.index("type"), "type", pa.array(types))


def identified(table: pa.Table | None, events: pa.Table, column: str) -> pa.Table:
    """The given table with string ids, or one row for each id that the events name."""
    if table is None:
        return pa.table({column: pc.unique(events[column]).sort()})
    ids = table[column].cast(pa.string())
    rest = table.drop_columns([column])
    return pa.table({column: ids} | {name: rest[name] for name in rest.column_names})
