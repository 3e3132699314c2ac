"""The contract of every training dataset: three Arrow tables, checked once where they enter."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from models.features import ACTIONS

EVENT_TYPES = ACTIONS[1:]
EVENTS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("time", pa.int64(), nullable=False),  # ms since 1970; sets without times use ranks
        pa.field("type", pa.string(), nullable=False),  # one of EVENT_TYPES
        pa.field("weight", pa.float32(), nullable=False),  # 1, or a rating
        pa.field("duration_ms", pa.float32()),
        pa.field("watch_ms", pa.float32()),
        pa.field("split", pa.string(), nullable=False),  # "history" or "log", as the source has it
    ]
)


@dataclass(frozen=True)
class Interactions:
    """What people did, to which items, and who they are.

    Attributes:
        events: schema ``EVENTS``; of one user and time, earlier rows came first. Rows with split
            "history" are only to be read as a user's past; "log" rows may also be predicted.
        items: one row an item, `item_id` (string) first; other columns as in the Item contract.
        users: one row a user, `user_id` (string) first.
        positives: the event types that a model learns to predict on this set.
    """

    events: pa.Table
    items: pa.Table
    users: pa.Table
    positives: tuple[str, ...]


def checked(interactions: Interactions) -> Interactions:
    """Return the interactions with their events cast to ``EVENTS``.

    Raises:
        ValueError: a column is missing or of another type, an event type is unknown, or an event
            names an item or a user that has no row.
    """
    events = interactions.events
    missing = [name for name in EVENTS.names if name not in events.column_names]
    if missing:
        raise ValueError(f"events lack the columns {missing}; expected {EVENTS.names}")
    events = events.select(EVENTS.names).cast(EVENTS)
    for column, known in (
        ("type", pa.array(EVENT_TYPES)),
        ("item_id", interactions.items["item_id"].combine_chunks()),
        ("user_id", interactions.users["user_id"].combine_chunks()),
    ):
        strange = pc.filter(events[column], pc.invert(pc.is_in(events[column], value_set=known)))
        if len(strange):
            raise ValueError(f"events.{column}: {len(strange)} unknown, first {strange[0]}")
    return Interactions(events, interactions.items, interactions.users, interactions.positives)
