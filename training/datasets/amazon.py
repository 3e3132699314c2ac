"""Amazon-style purchase sequences: one line a user, item ids oldest first, no times, no content."""

from pathlib import Path

import pyarrow as pa

from training.datasets.interactions import Interactions, checked
from training.datasets.movielens import read_csv
from training.datasets.tables import events_table

POSITIVES = ("purchase",)
STEP_MS = 86_400_000  # the source keeps order only: purchases are laid one day apart


def load(folder: Path) -> Interactions:
    """Read ``sequences.csv.gz`` (user_id, items separated by spaces).

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: the table breaks the contract.
    """
    sequences = [(r["user_id"], r["items"].split()) for r in read_csv(folder / "sequences.csv.gz")]
    triples = [
        (user, item, n * STEP_MS) for user, items in sequences for n, item in enumerate(items)
    ]
    users, items, times = zip(*triples, strict=True)
    item_ids = sorted(set(items), key=lambda item: (len(item), item))
    return checked(
        Interactions(
            events=events_table(users, items, times, ["purchase"] * len(triples)),
            items=pa.table({"item_id": item_ids, "kind": ["product"] * len(item_ids)}),
            users=pa.table({"user_id": [user for user, _ in sequences]}),
            positives=POSITIVES,
        )
    )
