"""The events that a server of ours has archived, with the items of its catalogue.

Nobody who left is among them: their rows are erased, and whoever stands on the do-not-train list is
left out here once more, should the archive come from an older backup.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.load import load as load_config
from configs.schema import ServingConfig
from serving.archive.reading import read_rows
from serving.archive.store import open_store
from serving.records.contracts import Catalogue, Stores
from serving.stores import open_stores
from training.datasets.generic import interactions_of, with_defaults
from training.datasets.interactions import Interactions

PAGE_ITEMS = 1_000
ITEMS = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("kind", pa.string()),
        pa.field("creator_id", pa.string()),
        pa.field("title", pa.string()),
        pa.field("text", pa.string()),
        pa.field("category", pa.string()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("language", pa.string()),
        pa.field("price", pa.float64()),
        pa.field("duration_ms", pa.float64()),
    ]
)


def load(config: Path) -> Interactions:
    """Read the log of the server with this configuration; the environment overrides it.

    Raises:
        ConfigError: the configuration or a secret cannot be used.
        ArchiveError: a file of the archive is missing or damaged.
        RecordsError: the records cannot be read.
        ValueError: nobody has done anything yet.
    """
    serving = load_config(config, ServingConfig)
    rows = read_rows(open_store(serving.archive.location), "events")
    with closing(open_stores(serving.records)) as stores:
        events = without_erased(rows, stores)
        items = items_of(events, stores.catalogue)
    if not len(events):
        raise ValueError(f"{serving.archive.location}: no events are archived yet")
    places = pc.index_in(events["item_id"], value_set=items["item_id"].combine_chunks())
    events = events.append_column("duration_ms", items["duration_ms"].take(places))
    events = events.sort_by([("time", "ascending"), ("arrived_ms", "ascending")])
    return interactions_of(with_defaults(events, config), items, None)


def without_erased(rows: pa.Table, stores: Stores) -> pa.Table:
    """Rows of those who are not on the do-not-train list, which knows them by keyed hash only."""
    erased = stores.erasures.erased_subjects()
    if not erased:
        return rows
    users = pc.unique(rows["user_id"]).to_pylist()
    left = pa.array([one for one in users if stores.users.subject(one) in erased], pa.string())
    return rows.filter(pc.invert(pc.is_in(rows["user_id"], value_set=left)))


def items_of(events: pa.Table, catalogue: Catalogue) -> pa.Table:
    """One row an item of the catalogue, and one for each other that the events name."""
    named = sorted(pc.unique(events["item_id"]).to_pylist())
    items: dict[str, dict[str, Any]] = {item_id: {"item_id": item_id} for item_id in named}
    after = 0
    while page := catalogue.changes(after, PAGE_ITEMS):
        kept = (one.item for one in page if not one.deleted or one.item.item_id in items)
        items |= {item.item_id: item.model_dump(mode="json") for item in kept}
        after = page[-1].sequence
    return pa.Table.from_pylist(list(items.values()), schema=ITEMS)
