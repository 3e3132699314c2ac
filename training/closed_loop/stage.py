"""One simulated day, drawn once: the world with all its items to come, its log and its visits."""

from dataclasses import dataclass, field

import numpy as np

from models.arrays import Mask, Rows
from training.datasets.interactions import Interactions
from training.datasets.simulator import (
    Memory,
    SimulatorSettings,
    Visits,
    World,
    draw_visits,
    fresh_memory,
    log_of,
    new_items,
    world_of,
)
from training.datasets.world.people import HOUR_MS, local_hours

NEW_ITEMS, VISITS, RESPONSES = 2, 3, 4  # apart from the draws of world (0) and log (1)
NEVER_MS = 2**62


@dataclass(frozen=True)
class DayPlan:
    """What the day is like.

    Attributes:
        hours: how long it lasts. items_an_hour: published at each whole hour.
        page: positions a page. pages: most pages a session.
        tick_ms: sessions that begin within one tick are simulated together.
    """

    hours: int = 24
    items_an_hour: int = 20
    page: int = 10
    pages: int = 8
    tick_ms: int = 600_000


@dataclass(frozen=True)
class Stage:
    """What every policy meets alike.

    Attributes:
        seed: of everything. plan: of the day.
        world: with the items of the whole day, which no policy sees before they are published.
        memory: users as the log leaves them. log: what models and histories are made of.
        first_new: row of the first item of the day.
        visits: session starts.
        eligible: [U, N] true where region, language and age let an item be shown.
    """

    seed: int
    plan: DayPlan
    world: World
    memory: Memory
    log: Interactions
    first_new: int
    visits: Visits
    eligible: Mask = field(repr=False)

    @property
    def start_ms(self) -> int:
        """When the day begins."""
        return self.world.start_ms

    def out(self, now_ms: int) -> Mask:
        """[N] true where an item is published and has not expired."""
        expires = self.world.items["expires_at"].fill_null(NEVER_MS).to_numpy()
        shown: Mask = (self.world.item_traits.published_ms <= now_ms) & (expires > now_ms)
        return shown

    def draws(self, tick: int, page: int) -> np.random.Generator:
        """Source of the responses to one page of one tick, the same for every policy."""
        return np.random.default_rng([self.seed, RESPONSES, tick, page])


def draw_stage(settings: SimulatorSettings, seed: int, plan: DayPlan) -> Stage:
    """Draw world, log, new items and visits; the same arguments give the same bytes."""
    world = world_of(settings, seed)
    memory = fresh_memory(world)
    log = log_of(settings, world, seed, memory)
    first_new, rng = len(world.item_traits), np.random.default_rng([seed, NEW_ITEMS])
    for hour in range(plan.hours):
        world = new_items(world, plan.items_an_hour, world.start_ms + hour * HOUR_MS, rng)
    end_ms = world.start_ms + plan.hours * HOUR_MS
    rng = np.random.default_rng([seed, VISITS])
    visits = draw_visits(world.user_traits, world.start_ms, end_ms, rng)
    return Stage(seed, plan, world, memory, log, first_new, visits, eligibility(world))


def eligibility(world: World) -> Mask:
    """[U, N] true where the feed may show an item: its region, its language, its audience."""
    users, items = world.user_traits, world.item_traits
    reach = users.markets[:, items.language] & (users.language[:, None] == items.language)
    fit: Mask = reach & (users.adult[:, None] | ~items.adult)
    return fit


def daytime_ms(world: World, rows: Rows, hours: int) -> Rows:
    """Milliseconds [E, hours + 1] of daytime that each item's viewers have had by each hour.

    It is daytime where more than half of the people who may be shown the item, weighted by how
    often they come, have between 8 and 24 o'clock.
    """
    starts = world.start_ms + HOUR_MS * np.arange(hours)
    fit = eligibility(world)[:, rows] * world.user_traits.sessions[:, None]
    awake = np.stack([local_hours(int(ms))[world.user_traits.zone] >= 8 for ms in starts])
    day = (awake @ fit) > 0.5 * fit.sum(axis=0)
    after = np.arange(hours)[:, None] * HOUR_MS + world.start_ms
    lived = day & (after >= world.item_traits.published_ms[rows])
    total = np.concatenate([np.zeros((1, len(rows))), np.cumsum(lived, axis=0)])
    return (total.T * HOUR_MS).astype(np.int64)
