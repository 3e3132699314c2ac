"""The clock where a user is, and the hours in which minors see no commerce."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from serving.feed.rules import MinorRules
from serving.feed.terms import Standing

HOUR_S = 3_600


def hour_in(time_zone: str | None, now_ms: int) -> float | None:
    """Return the hour in [0, 24) on the clocks of a zone; None where the zone is not known."""
    if time_zone is None:
        return None
    try:
        there = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError):
        return None
    return hour_of(there)


def local_hour(standing: Standing, told_hour: float | None, now_ms: int) -> float:
    """The hour by the recorded zone, else as the caller says, else in UTC."""
    recorded = hour_in(standing.time_zone, now_ms)
    if recorded is not None:
        return recorded
    return hour_of(datetime.fromtimestamp(now_ms / 1000, UTC)) if told_hour is None else told_hour


def hour_of(moment: datetime | time) -> float:
    """Hours since midnight of a clock that shows this."""
    return moment.hour + (moment.minute * 60 + moment.second) / HOUR_S


def commerce_closed(
    standing: Standing, rules: MinorRules, told_hour: float | None, now_ms: int
) -> bool:
    """Whether this user sees no commerce item now.

    The recorded zone decides; what the caller says of the time may only close. A minor without a
    recorded zone sees none at any time: it may be night where they are.
    """
    if standing.adult or not (standing.age_known or rules.unknown_age):
        return False
    recorded = hour_in(standing.time_zone, now_ms)
    if recorded is None or _closed(recorded, rules):
        return True
    return told_hour is not None and _closed(told_hour, rules)


def _closed(hour: float, rules: MinorRules) -> bool:
    first, last = rules.closed_from_hour, rules.closed_until_hour
    if first <= last:
        return first <= hour < last
    return hour >= first or hour < last
