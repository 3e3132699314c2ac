"""Items as the table that a bundle holds of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa


def item_table(items: Sequence[Mapping[str, Any]]) -> pa.Table:
    """One row an item; a field that some have is a column, null where it is absent."""
    names = dict.fromkeys(name for item in items for name in item)
    columns = {name: [item.get(name) for item in items] for name in names}
    return pa.table(columns or {"item_id": pa.nulls(len(items), pa.string())})
