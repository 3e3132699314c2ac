"""A world: everything drawn from one seed, as frozen records over arrays and Arrow tables."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from training.datasets.world.catalogue import item_tables
from training.datasets.world.creators import DAY_MS, draw_creators
from training.datasets.world.items import ItemTraits, Maker, draw_traits, joined
from training.datasets.world.latent import draw_space
from training.datasets.world.parameters import WorldParameters, draw_parameters
from training.datasets.world.people import UserTraits, draw_users

START_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z, a Monday: where logs end and live time begins
SHELF_DAYS = 45  # the first items were published over this long before the start


@dataclass(frozen=True)
class World:
    """One drawn world.

    Attributes:
        seed: what it was drawn from. start_ms: where logs end and live time begins.
        items: the catalogue, one row an item, as in the Item contract.
        users: one row a user, as in the User contract.
        creators: creator_id, followers, shop and grade.
        truth: item_id and what was planted in it; no server may read this.
        maker: what new items are drawn from, the parameters among it.
        item_traits, user_traits: what the response model reads; truth as well.
    """

    seed: int
    start_ms: int
    items: pa.Table
    users: pa.Table
    creators: pa.Table
    truth: pa.Table
    maker: Maker
    item_traits: ItemTraits
    user_traits: UserTraits

    @property
    def parameters(self) -> WorldParameters:
        """The numbers this world was drawn with."""
        return self.maker.parameters


def draw_world(
    seed: int, *, users: int, items: int, violation_share: float = 0.01, start_ms: int = START_MS
) -> World:
    """Draw a world; the same arguments give the same bytes.

    Args:
        seed: of everything.
        users: how many, at least 1.
        items: how many, at least 1.
        violation_share: share of items with a planted violation, in [0, 1].
        start_ms: where logs end and live time begins, ms since 1970.

    Raises:
        ValueError: a count is below 1 or the share outside [0, 1].
    """
    if users < 1 or items < 1 or not 0.0 <= violation_share <= 1.0:
        raise ValueError(
            f"draw_world: users = {users}, items = {items} must be >= 1 and "
            f"violation_share = {violation_share} in [0, 1]"
        )
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
    parameters = draw_parameters(streams[0])
    space = draw_space(parameters.leaf_skew, streams[1])
    count = max(round(parameters.creators_per_item * items), 2)
    creators = draw_creators(space, parameters, count, start_ms, streams[2])
    user_table, user_traits = draw_users(space, parameters, users, start_ms, streams[3])
    maker = Maker(space, parameters, creators, violation_share)
    age_ms = np.sort(streams[4].integers(0, SHELF_DAYS * DAY_MS, items))[::-1]
    traits = draw_traits(maker, start_ms - age_ms, None, streams[4])
    item_table, truth = item_tables(maker, traits, [], streams[4])
    return World(
        seed=seed,
        start_ms=start_ms,
        items=item_table,
        users=user_table,
        creators=creators.table,
        truth=truth,
        maker=maker,
        item_traits=traits,
        user_traits=user_traits,
    )


def new_items(world: World, count: int, time_ms: int, rng: np.random.Generator) -> World:
    """The world with `count` more items, published at `time_ms` by its creators."""
    published = np.full(count, time_ms, np.int64)
    traits = draw_traits(world.maker, published, world.item_traits, rng)
    known = world.items["item_id"].to_pylist()
    items, truth = item_tables(world.maker, traits, known, rng)
    return replace(
        world,
        items=pa.concat_tables([world.items, items]),
        truth=pa.concat_tables([world.truth, truth]),
        item_traits=joined(world.item_traits, traits),
    )
