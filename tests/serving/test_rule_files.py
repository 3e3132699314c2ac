"""Rules of surfaces and the calendar: read, refused, followed."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from configs.load import ConfigError
from serving.feed.rules import Boost
from serving.feed.timetable import Rulebook
from serving.rule_files import RuleFiles, follow_rules

CALENDAR = """
events:
  - name: festival
    reason: people shop
    starts: 2026-11-10T00:00:00Z
    ends: 2026-11-12T00:00:00Z
    regions: [cn]
    changes: {commerce: {limit: 4}}
    boosts: [{category: tea, factor: 1.5}]
  - name: everywhere
    reason: a test of both at once
    starts: 2026-11-11T00:00:00Z
    ends: 2026-11-13T00:00:00Z
    surfaces: [home]
    changes: {spread: {limit: 1}}
"""

ALL_ZERO = """
value: {long_view: 0, like: 0, comment: 0, share: 0, follow: 0, click_product: 0, purchase: 0}
"""


@pytest.fixture
def files(tmp_path: Path) -> RuleFiles:
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "default.yaml").write_text("spread: {window: 6, limit: 2}")
    (tmp_path / "feeds" / "home.yaml").write_text("value: {like: 0.5}")
    return RuleFiles(tmp_path / "feeds", tmp_path / "calendar.yaml", {})


def day(number: int, hour: int = 12) -> int:
    return round(datetime(2026, 11, number, hour, tzinfo=UTC).timestamp() * 1000)


def test_a_surface_follows_its_file_and_every_other_the_default(files: RuleFiles) -> None:
    book = files.read()
    assert book.rules("home", "CN", 0).value.like == 0.5
    assert book.rules("elsewhere", "CN", 0) == book.rules(None, None, 0)
    assert book.rules(None, None, 0).creator_window == 6


def test_the_calendar_changes_limits_and_boosts_where_and_while_it_says(files: RuleFiles) -> None:
    files.calendar.write_text(CALENDAR)
    book = files.read()
    limits = [book.rules(None, "CN", day(n)).commerce.limit for n in (9, 10, 11, 12)]
    assert limits == [3, 4, 4, 3]
    assert book.rules(None, "CN", day(10, 0)).boosts == (Boost("category", "tea", 1.5),)
    assert book.rules(None, "CN", day(12, 0)).boosts == ()
    assert book.rules(None, "US", day(10)).commerce.limit == 3
    both = book.rules("home", "CN", day(11))
    assert (both.commerce.limit, both.creator_limit) == (4, 1)
    assert book.rules("home", "US", day(12)).creator_limit == 1
    assert book.rules(None, "CN", day(11)).creator_limit == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (ALL_ZERO, ["value.long_view", "value.purchase"]),
        ("spread: {window: 3, limit: 4}", ["spread.limit = 4", "spread.window = 3"]),
        ("commerce: {limit: 6}", ["commerce.limit = 6", "commerce.allowed_share = 0.5"]),
        ("commerce: {limit: 9, allowed_share: 1}", ["commerce.limit = 9", "commerce.window = 8"]),
        ("{exploration: {every: 1}, small_creators: {share: 0.1}}",
         ["exploration.every = 1", "small_creators.share = 0.1"]),
        ("minors: {closed_from_hour: 8}", ["closed_from_hour = 8", "closed_until_hour"]),
        ("value: {likes: 1}", ["value.likes"]),
        ("diversity: {strength: -1}", ["diversity.strength", "greater than or equal to 0"]),
    ],
)  # fmt: skip
def test_contradicting_limits_are_refused_with_both_keys(
    files: RuleFiles, text: str, named: list[str]
) -> None:
    (files.feeds / "home.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        files.read()
    assert "home.yaml" in str(refused.value)
    assert [name for name in named if name not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("limit: 4", "limit: 7", ["commerce.limit = 7", "allowed_share", "festival"]),
        ("limit: 4", "limits: 4", ["commerce.limits", "festival"]),
        ("surfaces: [home]", "surfaces: [hme]", ["hme"]),
        ("ends: 2026-11-12", "ends: 2026-11-09", ["not later than starts"]),
        ("{category: tea, factor: 1.5}", "{factor: 1.5}", ["name one of item, creator, category"]),
        ("T00:00:00Z\n    regions", "\n    regions", ["ends"]),
        ("[cn]", "[cn, uk]", ["regions", "UK"]),
    ],
)
def test_a_calendar_that_contradicts_itself_or_a_surface_is_refused(
    files: RuleFiles, old: str, new: str, named: list[str]
) -> None:
    assert old in CALENDAR
    files.calendar.write_text(CALENDAR.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        files.read()
    assert [name for name in [*named, "calendar.yaml"] if name not in str(refused.value)] == []


def test_one_surface_must_be_the_default(files: RuleFiles) -> None:
    (files.feeds / "default.yaml").unlink()
    with pytest.raises(ConfigError, match=r"default\.yaml is missing"):
        files.read()


async def until(done: Callable[[], bool]) -> None:
    for _ in range(500):
        if done():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


def test_changes_hold_without_restart_and_bad_ones_never(
    files: RuleFiles, caplog: pytest.LogCaptureFixture
) -> None:
    books: list[Rulebook] = [files.read()]
    refused: list[None] = []

    async def scenario() -> None:
        following = follow_rules(
            files, books[0].version, books.append, lambda: refused.append(None), look_s=0.005
        )
        task = asyncio.create_task(following)
        (files.feeds / "home.yaml").write_text("value: {like: 0.75}")
        await until(lambda: len(books) == 2)
        (files.feeds / "home.yaml").write_text("spread: {window: 1, limit: 2}")
        await until(lambda: len(refused) == 1)
        await asyncio.sleep(0.05)
        assert (len(books), len(refused)) == (2, 1)  # told once
        (files.feeds / "home.yaml").write_text("value: {like: 0.5}")
        await until(lambda: len(books) == 3)
        task.cancel()

    with caplog.at_level(logging.INFO, "tidegate.rules"):
        asyncio.run(scenario())
    assert [book.rules("home", None, 0).value.like for book in books] == [0.5, 0.75, 0.5]
    assert "spread.limit = 2 exceeds spread.window = 1" in caplog.text
    assert replace(books[0], version="") == replace(books[2], version="")
