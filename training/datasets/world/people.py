"""Users: who they are, what draws them, when they come, and how their taste drifts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from models.arrays import Mask, Rows, Vectors
from training.datasets.world import parameters as p
from training.datasets.world.creators import DAY_MS, random_ids
from training.datasets.world.latent import Space, blend, unit
from training.datasets.world.vocabulary import LANGUAGES, MARKETS

ZONES = {  # region -> time zones with their shares of its users
    "CN": {"Asia/Shanghai": 1.0},
    "SG": {"Asia/Singapore": 1.0},
    "US": {
        "America/New_York": 0.47,
        "America/Chicago": 0.29,
        "America/Denver": 0.07,
        "America/Los_Angeles": 0.17,
    },
    "GB": {"Europe/London": 1.0},
    "AU": {"Australia/Sydney": 1.0},
}
REGIONS = {
    "zh": {"CN": 0.96, "SG": 0.04},
    "en": {"US": 0.7, "GB": 0.17, "SG": 0.05, "AU": 0.08},
}
HOUR_MS = 3_600_000
SHARPNESS = (0.8, 1.6)  # exponent on the common curve of hours: how much a user keeps to it
CHRONOTYPES = (-2, -1, 0, 1, 2, 3)  # hours by which a user's day is later than the common one


@dataclass(frozen=True)
class UserTraits:
    """What the response model knows of U users with up to M interests each.

    Attributes:
        interests: [U, M, D] unit vectors. weights: [U, M], 0 where there is none.
        leaf: [U, M] category each interest grew from. hidden: [U, M] unknown demand.
        drift, period_ms, phase: [U, M] swing of the weights.
        taste, social: [U] logits. sensitivity: [U] logit a log price.
        sessions: [U] a day. hours: [U, 24] share of a day's sessions, by local hour.
        language, zone: [U] rows of ``LANGUAGES`` and of ``zone_names``.
        markets: [U, 2] which languages' items reach the user. adult: [U] known to be 18 or older.
    """

    interests: Vectors
    weights: Vectors
    leaf: Rows
    hidden: Mask
    drift: Vectors
    period_ms: Vectors
    phase: Vectors
    taste: Vectors
    social: Vectors
    sensitivity: Vectors
    sessions: Vectors
    hours: Vectors
    language: Rows
    zone: Rows
    markets: Mask
    adult: Mask

    def __len__(self) -> int:
        return len(self.language)


def draw_users(
    space: Space, settings: p.WorldParameters, count: int, start_ms: int, rng: np.random.Generator
) -> tuple[pa.Table, UserTraits]:
    """The User contract's table and the traits behind it."""
    year = datetime.fromtimestamp(start_ms / 1000, UTC).year
    table = draw_identities(settings, count, year, rng)
    shape = (count, p.INTERESTS)
    leaf, weights, hidden = draw_interests(space, settings, count, rng)
    motif = rng.integers(0, space.motifs.shape[1], shape)
    towards = unit(space.leaves[leaf] + space.motifs[leaf, motif])
    swing = settings.drift_amplitude * rng.uniform(0.5, 1.5, shape)
    period_ms = settings.drift_period_days * DAY_MS * np.exp(rng.normal(0.0, 0.3, shape))
    activity = np.exp(rng.normal(0.0, settings.activity_sigma, count))
    sensitivity = rng.gamma(4.0, settings.price_sensitivity / 4.0, count)
    traits = UserTraits(
        interests=blend(towards, settings.interest_focus, rng),
        weights=weights,
        leaf=leaf,
        hidden=hidden,
        drift=swing.astype(np.float32),
        period_ms=period_ms.astype(np.float32),
        phase=rng.uniform(0.0, 2.0 * np.pi, shape).astype(np.float32),
        taste=rng.normal(0.0, settings.taste_sigma, count).astype(np.float32),
        social=rng.normal(0.0, settings.social_sigma, count).astype(np.float32),
        sensitivity=sensitivity.astype(np.float32),
        sessions=(settings.sessions_per_day * activity / activity.mean()).astype(np.float32),
        hours=draw_hours(count, rng),
        language=np.array([LANGUAGES.index(name) for name in table["language"].to_pylist()]),
        zone=zone_rows(table),
        markets=market_reach(table),
        adult=known_adults(table, year),
    )
    return table, traits


def draw_identities(
    settings: p.WorldParameters, count: int, year: int, rng: np.random.Generator
) -> pa.Table:
    """Ids, regions, languages, birth years (null where the age is not known) and time zones."""
    tongues = np.where(rng.random(count) < settings.zh_share, "zh", "en").tolist()
    draws = rng.random((4, count))
    regions = [choose(REGIONS[tongue], u) for tongue, u in zip(tongues, draws[0], strict=True)]
    minor = draws[2] < settings.minor_share
    adult_age = np.clip(18 + np.exp(rng.normal(2.5, 0.7, count)), 18, 80)
    birth_year = year - np.where(minor, rng.integers(10, 18, count), adult_age).astype(np.int64)
    return pa.table(
        {
            "user_id": random_ids("u", count, rng),
            "region": regions,
            "language": tongues,
            "birth_year": pa.array(birth_year, mask=draws[3] < settings.unknown_age_share),
            "time_zone": [choose(ZONES[r], u) for r, u in zip(regions, draws[1], strict=True)],
        }
    )


def zone_rows(table: pa.Table) -> Rows:
    """[U] rows of ``zone_names``."""
    names = zone_names()
    return np.array([names.index(name) for name in table["time_zone"].to_pylist()])


def market_reach(table: pa.Table) -> Mask:
    """[U, 2], true where items of a language reach the user's region."""
    regions = table["region"].to_pylist()
    return np.array([[name in MARKETS[tongue] for tongue in LANGUAGES] for name in regions])


def known_adults(table: pa.Table, year: int) -> Mask:
    """[U], true where the birth year alone says that 18 has been reached."""
    adult: Mask = year - table["birth_year"].fill_null(year).to_numpy() > 18
    return adult


def draw_interests(
    space: Space, settings: p.WorldParameters, count: int, rng: np.random.Generator
) -> tuple[Rows, Vectors, Mask]:
    """Leaves, weights and hiddenness [U, M]; the known interests stand first, strongest first."""
    known = rng.integers(p.KNOWN_INTERESTS[0], p.KNOWN_INTERESTS[1] + 1, count)
    hidden = rng.integers(p.HIDDEN_INTERESTS[0], p.HIDDEN_INTERESTS[1] + 1, count)
    scores = np.log(space.demand) + rng.gumbel(size=(count, len(space.demand)))
    leaf = np.argsort(-scores, axis=1)[:, : p.INTERESTS].astype(np.int64)
    slot = np.arange(p.INTERESTS)
    is_known = slot < known[:, None]
    is_hidden = (slot >= known[:, None]) & (slot < (known + hidden)[:, None])
    strength = np.where(is_hidden, 1.0, settings.next_interest**slot)
    weights = np.where(is_known | is_hidden, strength, 0.0)
    return leaf, weights.astype(np.float32), is_hidden


def draw_hours(count: int, rng: np.random.Generator) -> Vectors:
    """Share of a day's sessions in each local hour [U, 24]: the common curve, moved and bent."""
    later = rng.choice(CHRONOTYPES, count)
    curve = p.HOURS[(np.arange(24) - later[:, None]) % 24]
    bent = curve ** rng.uniform(*SHARPNESS, (count, 1))
    shares: Vectors = (bent / bent.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def interest_weights(users: UserTraits, rows: Rows, time_ms: Rows) -> Vectors:
    """Weights [B, M] of users' interests at times [B]: each swings with a period of its own."""
    turns = time_ms[:, None] / users.period_ms[rows].astype(np.float64)
    swing = users.drift[rows] * np.sin(2.0 * np.pi * turns + users.phase[rows])
    drifted: Vectors = users.weights[rows] * (1.0 + swing) / (1.0 + users.drift[rows])
    return drifted.astype(np.float32)


@dataclass(frozen=True)
class Visits:
    """S session starts in time order: time_ms [S], user_rows [S]."""

    time_ms: Rows
    user_rows: Rows

    def __len__(self) -> int:
        return len(self.time_ms)


def draw_visits(
    users: UserTraits, start_ms: int, end_ms: int, rng: np.random.Generator, share: float = 1.0
) -> Visits:
    """When users open a session in [start_ms, end_ms), by their own hours and local time.

    Args:
        users: whose rows are visited.
        start_ms: begin; hours are counted from here.
        end_ms: end, not included.
        rng: source of the draws.
        share: part of all sessions to draw, for logs that hold only some.
    """
    starts = np.arange(start_ms, end_ms, HOUR_MS)
    times, rows = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for hour_start in starts:
        local = local_hours(int(hour_start))[users.zone]
        rate = share * users.sessions * users.hours[np.arange(len(users)), local]
        visitors = np.repeat(np.arange(len(users)), rng.poisson(rate))
        moments = hour_start + rng.integers(0, HOUR_MS, len(visitors))
        order = np.argsort(moments, kind="stable")
        times.append(moments[order])
        rows.append(visitors[order])
    time_ms = np.concatenate(times)
    inside = time_ms < end_ms
    return Visits(time_ms[inside], np.concatenate(rows)[inside])


def local_hours(time_ms: int) -> Rows:
    """The hour of the day in each zone of ``zone_names`` at one moment."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return np.array([moment.astimezone(ZoneInfo(name)).hour for name in zone_names()])


def zone_names() -> list[str]:
    """Every time zone users live in, in a fixed order."""
    return [name for zones in ZONES.values() for name in zones]


def choose(shares: dict[str, float], draw: float) -> str:
    """The key whose share of [0, 1) holds `draw`."""
    below = np.cumsum(list(shares.values()))
    return list(shares)[min(int(np.searchsorted(below, draw, side="right")), len(shares) - 1)]
