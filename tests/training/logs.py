"""Small random behaviour for tests of what trains and judges."""

import numpy as np
import pyarrow as pa

from training.datasets.interactions import Interactions, checked
from training.datasets.tables import events_table


def random_interactions(
    users: int = 60, items: int = 40, events: int = 20, seed: int = 0, with_history: bool = True
) -> Interactions:
    """Users of two tastes: each likes one half of the items far more than the other."""
    rng = np.random.default_rng(seed)
    half = items // 2
    owner = np.repeat(np.arange(users), events)
    own_half = rng.random(users * events) < 0.9
    item = rng.integers(0, half, users * events) + half * ((owner % 2) ^ ~own_half)
    liked = (item >= half) == (owner % 2).astype(bool)
    types = np.where(liked, "long_view", "impression")
    place = np.tile(np.arange(events), users)
    split = ["history" if with_history and p < 0.7 * events else "log" for p in place.tolist()]
    table = events_table(
        owner.tolist(), item.tolist(), (place * 1000 + owner * 7).tolist(), types.tolist()
    )
    table = table.set_column(table.column_names.index("split"), "split", pa.array(split))
    names = [str(n) for n in range(items)]
    return checked(
        Interactions(
            table,
            pa.table(
                {
                    "item_id": names,
                    "kind": ["video"] * items,
                    "creator_id": [f"c{n % 7}" for n in range(items)],
                    "category": ["left" if n < half else "right" for n in range(items)],
                    "title": [f"title {n}" for n in range(items)],
                }
            ),
            pa.table({"user_id": [str(n) for n in range(users)]}),
            ("long_view",),
        )
    )
