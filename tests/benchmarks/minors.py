"""Minors see no commerce in the closed hours of their zone, and adult items never.

``python -m tests.benchmarks.minors`` asks an engine, in process, for pages of people in many
zones, at moments that crowd around closing and opening hours and the nights on which clocks change.
What a page holds is judged apart from the feed: by the items' own records and another clock.
"""

import argparse
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from serving.feed.contracts import Behaviour, FeedRequest, Page
from serving.feed.controls import Control, controlled
from serving.feed.engine import FeedEngine
from serving.feed.rules import FeedRules, MinorRules
from serving.feed_bundle import load_bundle
from serving.profiles import standing_of
from serving.records.profiles import User
from tests.feed_bundles import invented_items, make_feed_bundle
from training.report import print_report

ITEMS, K = 400, 12
ZONES = (
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Africa/Casablanca",
    "Asia/Tehran",
)
YEAR = 2026
FIRST = datetime(YEAR, 1, 1, tzinfo=UTC)
RULES = FeedRules(40, 20, 8, 2, trending_candidates=5, followed_candidates=5, similar_candidates=5)
STEERED = (
    Control("pin", "item:item-0", value=1.0),
    Control("pin", "item:item-1", value=2.0),
    Control("boost", "category:sport", value=10.0),
)


@dataclass
class Counts:
    """What was asked and found."""

    requests: int = 0
    items: int = 0
    closed: int = 0
    open_commerce: int = 0
    adult_shown: int = 0
    violations: list[str] = field(default_factory=list)


def main() -> None:
    """Ask and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.minors", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    items = catalogue(random)
    with tempfile.TemporaryDirectory() as folder:
        make_feed_bundle(Path(folder) / "made", items, options.seed)
        engine = load_bundle(Path(folder) / "made", RULES).engine
        counts, by_id = Counts(), {item["item_id"]: item for item in items}
        for _ in range(options.requests):
            ask(engine, by_id, random, counts)
    figures = {
        "requests": counts.requests,
        "violations": len(counts.violations),
        "items_shown": counts.items,
        "requests_in_closed_hours": counts.closed,
        "commerce_shown_to_minors_in_open_hours": counts.open_commerce,
        "adult_items_shown_to_adults": counts.adult_shown,
        "first_violations": counts.violations[:3],
    }
    bars = {
        "requests >= 50,000": counts.requests >= 50_000,
        "violations = 0": not counts.violations,
        "commerce in open hours, adult items to adults": bool(
            counts.open_commerce and counts.adult_shown
        ),
    }
    print_report("minors", figures=figures, bars=bars, seed=options.seed)


def catalogue(random: np.random.Generator) -> list[dict[str, Any]]:
    """Items of every kind; every fourth carries products, every seventh is for adults."""
    items = invented_items(ITEMS, random)
    for n, item in enumerate(items):
        item |= {"product_ids": ["p-1"] if n % 4 == 0 else [], "language": None}
        item["audience"] = "adult" if n % 7 == 1 else "all"
    return items


@dataclass(frozen=True)
class Person:
    """Who asks, and when.

    Attributes:
        minor: by the recorded birth year, or by the policy where none is recorded.
        of_age: known to be.
        told_hour: what the caller says of the time.
    """

    user: User
    minor: bool
    of_age: bool
    told_hour: float | None
    now_ms: int


def ask(
    engine: FeedEngine, items: dict[str, dict[str, Any]], random: np.random.Generator, to: Counts
) -> None:
    """Ask for one page of one person at one moment, and judge it."""
    unknown_minor = bool(random.integers(2))
    person = drawn_person(unknown_minor, random)
    now_ms, standing = person.now_ms, standing_of(person.user, None, person.now_ms)
    rules = controlled(RULES, STEERED if random.random() < 0.3 else (), None, None, now_ms)
    rules = replace(rules, minors=MinorRules(unknown_age=unknown_minor))
    request = FeedRequest(
        K, now_ms, recent=history(random), standing=standing, told_hour=person.told_hour
    )
    judge(asked_page(engine, request, rules, random), items, person, to)


def drawn_person(unknown_minor: bool, random: np.random.Generator) -> Person:
    """Someone of 9 to 30 or of unknown age, in a zone that is recorded or not."""
    zone = str(random.choice(ZONES)) if random.random() > 0.05 else None
    year = int(random.integers(YEAR - 30, YEAR - 8)) if random.random() > 0.2 else None
    of_age = year is not None and YEAR - year > 18
    told = float(random.uniform(0, 24)) if random.random() < 0.3 else None
    return Person(
        User(user_id="u", birth_year=year, time_zone=zone),
        unknown_minor if year is None else not of_age,
        of_age,
        told,
        moment_ms(zone, random),
    )


def asked_page(
    engine: FeedEngine, request: FeedRequest, rules: FeedRules, random: np.random.Generator
) -> Page:
    """A page of the feed, of related items, or of given candidates."""
    way = random.random()
    if way < 0.6:
        return engine.feed(request, rules)
    if way < 0.8:
        return engine.related(request, f"item-{random.integers(ITEMS)}", rules)
    given = [f"item-{n}" for n in random.choice(ITEMS, 40, replace=False)]
    return engine.rank(request, given, rules)


def history(random: np.random.Generator) -> tuple[Behaviour, ...]:
    """Up to four things that a person did."""
    return tuple(
        Behaviour(f"item-{n}", "like", -int(n))
        for n in random.integers(0, ITEMS, random.integers(5))
    )


def moment_ms(zone: str | None, random: np.random.Generator) -> int:
    """A moment of the year, often near a border of the closed hours or a change of clocks."""
    anywhere = FIRST + timedelta(minutes=float(random.uniform(0, 365 * 1440)))
    if zone is None or random.random() < 0.2:
        return _ms(anywhere)
    changes = clock_changes(zone)
    if changes and random.random() < 0.5:
        change = changes[random.integers(len(changes))]
        return _ms(change + timedelta(minutes=float(random.uniform(-720, 720))))
    border = int(random.choice((0, 8, 22)))
    there = anywhere.astimezone(ZoneInfo(zone)).replace(hour=border, minute=0, second=0)
    return _ms(there + timedelta(seconds=float(random.uniform(-600, 600))))


@cache
def clock_changes(zone: str) -> list[datetime]:
    """The hours of the year in which a zone's offset changes."""
    hours = [FIRST + timedelta(hours=n) for n in range(365 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hours[n] for n in range(1, len(hours)) if offsets[n] != offsets[n - 1]]


def judge(page: Page, items: dict[str, dict[str, Any]], person: Person, to: Counts) -> None:
    """Count what a page shows, and what it must not."""
    closed = person.minor and is_closed(person.user.time_zone, person.told_hour, person.now_ms)
    to.requests += 1
    to.items += len(page.items)
    to.closed += closed
    for item in page.items:
        record = items[item.item_id]
        commerce = record["kind"] == "product" or bool(record["product_ids"])
        adult = record["audience"] == "adult"
        to.open_commerce += person.minor and commerce and not closed
        to.adult_shown += adult and person.of_age
        if (closed and commerce) or (adult and not person.of_age):
            to.violations.append(f"{item.item_id} to {person}")


def is_closed(zone: str | None, told: float | None, now_ms: int) -> bool:
    """Whether it is night by the recorded zone or by the caller; without a zone it always is."""
    if zone is None:
        return True
    offset = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    of_day_ms = (now_ms + offset // timedelta(milliseconds=1)) % 86_400_000
    recorded = not 8 * 3_600_000 <= of_day_ms < 22 * 3_600_000
    return recorded or (told is not None and not 8 <= told < 22)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


if __name__ == "__main__":
    main()
