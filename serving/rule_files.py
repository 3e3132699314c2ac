"""Files of rules -> rulebook, and following their changes while the server runs."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from configs.feed import CalendarConfig, CalendarEvent, FeedConfig
from configs.load import ConfigError, describe, load, merged
from serving.feed.limits import boost_of, rules_of
from serving.feed.rules import FeedRules
from serving.feed.timetable import DEFAULT_SURFACE, EVERYWHERE, Rulebook, Timetable

log = logging.getLogger("tidegate.rules")

LOOK_S = 1.0


@dataclass(frozen=True)
class RuleFiles:
    """Where rules stand.

    Attributes:
        feeds: folder of one file a surface. calendar: file of events.
        environ: overrides of single keys; None for the process's own.
    """

    feeds: Path
    calendar: Path
    environ: Mapping[str, str] | None = None

    def fingerprint(self) -> str:
        """Of everything that the files hold; another one after any change."""
        digest = hashlib.blake2b(digest_size=6)
        for path in (*sorted(self.feeds.glob("*.yaml")), self.calendar):
            digest.update(str(path).encode() + b"\0")
            digest.update(path.read_bytes() if path.exists() else b"")
        return digest.hexdigest()

    def read(self) -> Rulebook:
        """Read every surface and the calendar.

        Raises:
            ConfigError: a file cannot be read, a key is unknown or outside its limit, or limits
                contradict each other, in a surface or on a day of the calendar.
        """
        version = self.fingerprint()
        configs = {
            path.stem: load(path, FeedConfig, self.environ)
            for path in sorted(self.feeds.glob("*.yaml"))
        }
        if DEFAULT_SURFACE not in configs:
            raise ConfigError(f"{self.feeds}: {DEFAULT_SURFACE}.yaml is missing")
        events = self._events()
        if unknown := {name for one in events for name in one.surfaces} - configs.keys():
            raise ConfigError(f"{self.calendar}: no surface {sorted(unknown)} in {self.feeds}")
        surfaces = {
            name: timetable(
                config, [one for one in events if name in (one.surfaces or {name})], self
            )
            for name, config in configs.items()
        }
        return Rulebook(version, surfaces, DEFAULT_SURFACE)

    def _events(self) -> tuple[CalendarEvent, ...]:
        if not self.calendar.exists():
            return ()
        return load(self.calendar, CalendarConfig, self.environ).events


def timetable(config: FeedConfig, events: Sequence[CalendarEvent], files: RuleFiles) -> Timetable:
    """Lay events upon the rules of a surface, in the calendar's order.

    Raises:
        ConfigError: on some day the limits contradict each other.
    """
    moments = sorted({_ms(moment) for one in events for moment in (one.starts, one.ends)})
    stretches = []
    for start_ms in (float("-inf"), *moments):
        on = [one for one in events if _ms(one.starts) <= start_ms < _ms(one.ends)]
        places = {EVERYWHERE, *(region for one in on for region in one.regions)}
        stretches.append(
            {
                place: _on_day(
                    config, [one for one in on if place in (one.regions or {place})], files
                )
                for place in places
            }
        )
    return Timetable(tuple(moments), tuple(stretches))


def _on_day(config: FeedConfig, on: Sequence[CalendarEvent], files: RuleFiles) -> FeedRules:
    values = config.model_dump()
    for event in on:
        values = merged(values, event.changes)
    try:
        changed = FeedConfig.model_validate(values)
    except ValidationError as error:
        names = " and ".join(event.name for event in on)
        raise ConfigError(f"{describe(files.calendar, error, {})} (on {names})") from error
    return rules_of(changed, tuple(boost_of(one) for event in on for one in event.boosts))


async def follow_rules(
    files: RuleFiles,
    version: str,
    take: Callable[[Rulebook], None],
    refuse: Callable[[], None],
    look_s: float = LOOK_S,
) -> None:
    """Hand over the rules of changed files until cancelled; a bad change is refused whole.

    Args:
        files: to look at.
        version: of the rules that hold.
        take: gets the new rules. refuse: is told that files were refused; the old rules stay.
        look_s: between two looks.
    """
    while True:
        await asyncio.sleep(look_s)
        try:
            found = await asyncio.to_thread(files.fingerprint)
            if found == version:
                continue
            version = found
            book = await asyncio.to_thread(files.read)
        except (ConfigError, OSError) as error:
            log.error("rules refused, the former ones hold: %s", error)
            refuse()
        else:
            version = book.version
            take(book)
            log.info("rules %s hold", book.version)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
