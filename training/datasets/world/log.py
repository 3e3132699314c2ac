"""Behaviour under a logging policy, as a production feed would have recorded it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.arrays import Mask, Rows, Vectors
from training.datasets.interactions import EVENTS, Interactions, checked
from training.datasets.world.creators import DAY_MS
from training.datasets.world.draw import World
from training.datasets.world.memory import Memory, begin_sessions, fresh_memory
from training.datasets.world.people import HOUR_MS, Visits, draw_visits, interest_weights
from training.datasets.world.reactions import REACTIONS
from training.datasets.world.response import Responses, respond

POSITIVES = ("long_view",)
LOGGED = tuple(name for name in REACTIONS if name != "complete")  # the watched time tells it
TINY = np.float32(1e-30)  # a single-precision exponential may be 0
SWIPE_MS = 500  # between the end of one item and the next impression


@dataclass(frozen=True)
class LoggingPolicy:
    """A feed that mixes what is popular, what suits the user's known interests, and chance.

    Attributes:
        interest, popular: share of slots; the rest is drawn at random.
        sharpness: logit a unit of affinity in interest slots.
        reach_share: how much of the log reach interest slots respect.
        freshness_days: age over which an item's pull falls by a factor of e.
        page: positions a page. pages: most pages a session.
        recorded_share: part of all sessions that the log holds.
    """

    interest: float = 0.72
    popular: float = 0.22
    sharpness: float = 18.0
    reach_share: float = 1.0
    freshness_days: float = 30.0
    page: int = 8
    pages: int = 12
    recorded_share: float = 0.05


@dataclass(frozen=True)
class Page:
    """One page of B users: user_rows [B], item_rows [B, K], time_ms [B] and the responses."""

    user_rows: Rows
    item_rows: Rows
    time_ms: Rows
    responses: Responses


def sample_log(
    world: World, days: int, policy: LoggingPolicy, rng: np.random.Generator
) -> Interactions:
    """Behaviour of the `days` before the world's start under a logging policy."""
    pages = list(simulate_pages(world, days, policy, rng, fresh_memory(world)))
    events = events_table(world, pages)
    return checked(Interactions(events, world.items, world.users, POSITIVES))


def simulate_pages(
    world: World, days: int, policy: LoggingPolicy, rng: np.random.Generator, memory: Memory
) -> Iterator[Page]:
    """Pages of the recorded sessions, hour by hour; `memory` is left as the log leaves it."""
    start_ms = world.start_ms - days * DAY_MS
    visits = draw_visits(world.user_traits, start_ms, world.start_ms, rng, policy.recorded_share)
    for hour in hourly(visits):
        _, first = np.unique(hour.user_rows, return_index=True)  # one session a user an hour
        user_rows, time_ms = hour.user_rows[first], hour.time_ms[first]
        begin_sessions(memory, user_rows)
        for _ in range(policy.pages):
            page = draw_page(world, user_rows, time_ms, policy, rng, memory)
            responses = respond(world, user_rows, page, time_ms, rng, memory)
            yield Page(user_rows, page, time_ms, responses)
            stays = ~responses.left
            spent_ms = shown_after_ms(responses)[:, -1] + responses.watch_ms[:, -1] + SWIPE_MS
            user_rows, time_ms = user_rows[stays], (time_ms + spent_ms.astype(np.int64))[stays]
            if not len(user_rows):
                break


def hourly(visits: Visits) -> Iterator[Visits]:
    """The visits of each whole hour that has any."""
    hours = visits.time_ms // HOUR_MS
    edges = np.flatnonzero(np.diff(hours)) + 1
    for times, rows in zip(
        np.split(visits.time_ms, edges), np.split(visits.user_rows, edges), strict=True
    ):
        if len(times):
            yield Visits(times, rows)


def draw_page(
    world: World,
    user_rows: Rows,
    time_ms: Rows,
    policy: LoggingPolicy,
    rng: np.random.Generator,
    memory: Memory,
) -> Rows:
    """Item rows [B, K]: each slot takes the next unused item of the source it falls to."""
    allowed = eligible(world, user_rows, int(time_ms.max()), memory)
    reach = world.item_traits.reach - (
        (time_ms.max() - world.item_traits.published_ms) / (policy.freshness_days * DAY_MS)
    )
    suits = policy.sharpness * known_affinities(world, user_rows, time_ms, memory)
    sources = (
        suits + policy.reach_share * reach,
        np.broadcast_to(reach, suits.shape),
        np.zeros_like(suits),
    )
    lists = np.stack([sampled(scores, allowed, 2 * policy.page, rng) for scores in sources])
    shares = (policy.interest, policy.popular, 1.0 - policy.interest - policy.popular)
    slots = rng.choice(len(shares), (len(user_rows), policy.page), p=shares)
    return filled(lists, slots)


def eligible(world: World, user_rows: Rows, time_ms: int, memory: Memory) -> Mask:
    """[B, N], true for items that are out, in the user's market, fit for their age and unseen."""
    items, users = world.item_traits, world.user_traits
    allowed: Mask = users.markets[user_rows][:, items.language] & (items.published_ms <= time_ms)
    allowed &= users.adult[user_rows][:, None] | ~items.adult
    seen = memory.items[user_rows]
    allowed[np.nonzero(seen >= 0)[0], seen[seen >= 0]] = False
    return allowed


def known_affinities(world: World, user_rows: Rows, time_ms: Rows, memory: Memory) -> Vectors:
    """Affinity [B, N] by the interests that users have shown so far."""
    weights = interest_weights(world.user_traits, user_rows, time_ms) * memory.awake[user_rows]
    interests = world.user_traits.interests[user_rows] * weights[:, :, None]
    cosines = interests @ world.item_traits.vectors.T
    best: Vectors = np.maximum(cosines.max(axis=1), 0.0)
    return best


def sampled(scores: Vectors, allowed: Mask, count: int, rng: np.random.Generator) -> Rows:
    """`count` items a user [B, count] without replacement, by softmax; -1 where none is allowed."""
    gumbel = -np.log(rng.standard_exponential(scores.shape, np.float32) + TINY)
    perturbed = np.where(allowed, scores + gumbel, -np.inf)
    count = min(count, scores.shape[1])
    best = np.argpartition(-perturbed, count - 1, axis=1)[:, :count]
    value = np.take_along_axis(perturbed, best, axis=1)
    order = np.argsort(-value, axis=1)
    rows = np.take_along_axis(np.where(np.isfinite(value), best, -1), order, axis=1)
    return rows.astype(np.int64)


def filled(lists: Rows, slots: Rows) -> Rows:
    """Pages [B, K] out of ranked lists [S, B, L]: slot [B, K] names the list it draws from."""
    users = np.arange(slots.shape[0])
    page = np.full(slots.shape, -1)
    for k in range(slots.shape[1]):
        ranked = lists[slots[:, k], users]
        used = (ranked[:, :, None] == page[:, None, :k]).any(axis=2) | (ranked < 0)
        first = np.argmax(~used, axis=1)
        page[:, k] = np.where(used.all(axis=1), -1, ranked[users, first])
    return page


def shown_after_ms(responses: Responses) -> Vectors:
    """[B, K] time between the page's opening and each position's impression."""
    spent = responses.watch_ms + SWIPE_MS * responses.examined
    before: Vectors = np.cumsum(spent, axis=1) - spent
    return before


def events_table(world: World, pages: list[Page]) -> pa.Table:
    """One ``impression`` an examined position, and one more event for every reaction to it."""
    parts = [event_columns(page) for page in pages]
    user_rows, item_rows, time_ms, watch_ms, actions = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    duration_ms = world.items["duration_ms"].combine_chunks().cast(pa.float32())
    names = pa.array(("impression", *LOGGED))
    columns = {
        "user_id": world.users["user_id"].combine_chunks().take(user_rows),
        "item_id": world.items["item_id"].combine_chunks().take(item_rows),
        "time": time_ms,
        "type": names.take(actions),
        "weight": np.ones(len(time_ms), np.float32),
        "duration_ms": duration_ms.take(item_rows),
        "watch_ms": watch_ms,
        "split": pa.repeat("log", len(time_ms)),
    }
    return pa.table(columns).cast(EVENTS)


def event_columns(page: Page) -> tuple[Rows, Rows, Rows, Vectors, Rows]:
    """User rows, item rows, times, watched ms and actions (0 impression, else ``LOGGED``)."""
    responses = page.responses
    happened = [responses.examined, *(responses.reactions[name] for name in LOGGED)]
    action, b, k = np.nonzero(np.stack(happened))
    time_ms = page.time_ms[:, None] + shown_after_ms(responses).astype(np.int64)
    return (
        page.user_rows[b],
        page.item_rows[b, k],
        time_ms[b, k],
        responses.watch_ms[b, k],
        action,
    )
