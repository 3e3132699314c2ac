"""Hours in which minors see no commerce."""

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from serving.feed.contracts import FeedRequest
from serving.feed.engine import FeedEngine
from serving.feed.filters import DEFAULT_FILTERS, FACT_FILTERS
from serving.feed.hours import commerce_closed, hour_in, hour_of, local_hour
from serving.feed.rules import MinorRules
from serving.feed.shelf import make_shelf
from serving.feed.terms import Standing
from serving.profiles import standing_of
from serving.records.profiles import User
from tests.item_table import item_table
from tests.serving.feed.fixed_model import HISTORY_LENGTH, RULES, ring_model
from tests.serving.feed.test_engine import ids

DEFAULT = MinorRules()


def at(zone: str, *moment: int) -> int:
    year, month, day, hour, minute = moment
    return round(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "hour", "minute", "closed"),
    [
        ("Asia/Shanghai", 21, 59, False),
        ("Asia/Shanghai", 22, 0, True),
        ("Asia/Shanghai", 0, 0, True),
        ("Asia/Shanghai", 7, 59, True),
        ("Asia/Shanghai", 8, 0, False),
        ("Asia/Kolkata", 7, 59, True),
        ("Asia/Kolkata", 8, 0, False),
        ("America/New_York", 22, 0, True),
    ],
)
def test_the_clock_of_the_recorded_zone_decides(
    zone: str, hour: int, minute: int, closed: bool
) -> None:
    minor = Standing(age_known=True, time_zone=zone)
    now_ms = at(zone, 2026, 6, 1, hour, minute)
    assert commerce_closed(minor, DEFAULT, None, now_ms) is closed
    assert not commerce_closed(Standing(adult=True, time_zone=zone), DEFAULT, None, now_ms)


def test_clocks_that_change_are_followed() -> None:
    minor = Standing(age_known=True, time_zone="Europe/Berlin")
    utc_six = datetime(2026, 3, 29, 6, 30, tzinfo=ZoneInfo("UTC"))  # 8:30 in summer, from this day
    day_ms = 86_400_000
    now_ms = round(utc_six.timestamp() * 1000)
    assert not commerce_closed(minor, DEFAULT, None, now_ms)
    assert commerce_closed(minor, DEFAULT, None, now_ms - day_ms)
    assert hour_in("Europe/Berlin", now_ms) == 8.5


def test_what_the_caller_says_may_only_close() -> None:
    minor = Standing(age_known=True, time_zone="Asia/Shanghai")
    noon, night = at("Asia/Shanghai", 2026, 6, 1, 12, 0), at("Asia/Shanghai", 2026, 6, 1, 23, 0)
    assert commerce_closed(minor, DEFAULT, 23.5, noon)
    assert commerce_closed(minor, DEFAULT, 12.0, night)
    assert not commerce_closed(minor, DEFAULT, 12.0, noon)


def test_a_minor_without_a_zone_sees_none_and_unknown_ages_follow_the_policy() -> None:
    noon = at("UTC", 2026, 6, 1, 12, 0)
    assert commerce_closed(Standing(age_known=True), DEFAULT, 12.0, noon)
    assert commerce_closed(Standing(age_known=True, time_zone="Mars/Base"), DEFAULT, None, noon)
    unknown = Standing(time_zone="Asia/Shanghai")
    night = at("Asia/Shanghai", 2026, 6, 1, 23, 0)
    assert not commerce_closed(unknown, DEFAULT, None, night)
    assert commerce_closed(unknown, MinorRules(unknown_age=True), None, night)
    daytime = MinorRules(closed_from_hour=9, closed_until_hour=17)
    assert commerce_closed(Standing(age_known=True, time_zone="UTC"), daytime, None, noon)


def test_of_age_is_who_was_born_in_a_year_that_is_eighteen_years_over() -> None:
    now_ms = at("UTC", 2026, 6, 1, 12, 0)
    ages = {
        year: standing_of(User(user_id="u", birth_year=year), None, now_ms) for year in (2007, 2008)
    }
    assert {year: standing.adult for year, standing in ages.items()} == {2007: True, 2008: False}
    assert all(standing.age_known for standing in ages.values())


def test_the_hour_of_the_ranker_is_recorded_else_told_else_of_utc() -> None:
    now_ms = at("UTC", 2026, 6, 1, 12, 0)
    assert local_hour(Standing(time_zone="Asia/Shanghai"), 3.0, now_ms) == 20.0
    assert local_hour(Standing(), 3.0, now_ms) == 3.0
    assert local_hour(Standing(), None, now_ms) == 12.0
    assert hour_of(time(21, 30)) == 21.5


def test_neither_products_nor_content_that_carries_them_is_shown_in_closed_hours() -> None:
    model = ring_model(8)
    items: list[dict[str, Any]] = [
        {"kind": "product"},
        {"kind": "video", "product_ids": ["p-1"]},
        {"kind": "live", "product_ids": []},
        {"kind": "video"},
        {},
    ]
    shelf = make_shelf(item_table([items[n % 5] for n in range(8)]), model.popularity)
    engine = FeedEngine(model, shelf, HISTORY_LENGTH, DEFAULT_FILTERS + FACT_FILTERS)
    minor = Standing(age_known=True, time_zone="UTC")
    night, noon = at("UTC", 2026, 6, 1, 23, 0), at("UTC", 2026, 6, 1, 12, 0)
    page = engine.feed(FeedRequest(8, night, standing=minor), RULES)
    assert sorted(ids(page)) == ["item-2", "item-3", "item-4", "item-7"]
    assert len(engine.feed(FeedRequest(8, noon, standing=minor), RULES).items) == 8
    ranked = engine.rank(FeedRequest(8, night, standing=minor), ["item-0", "item-3"], RULES)
    assert [(one.item_id, one.reason) for one in ranked.removed] == [("item-0", "minor_hours")]
