"""One simulated day: ``configs/simulate.yaml``."""

from pydantic import Field

from configs.exposure import ExposureConfig
from configs.feed import FeedConfig
from configs.schema import Section


class DaySection(Section):
    """What the day is like."""

    hours: int = Field(default=24, ge=1, le=72)
    items_an_hour: int = Field(default=20, ge=1, le=1_000)
    page: int = Field(default=10, ge=1, le=100)
    pages: int = Field(default=8, ge=1, le=50)
    tick_s: int = Field(default=600, ge=1, le=3_600)


class SimulateConfig(Section):
    """``configs/simulate.yaml``: the day, and the limits of our feed and ladder in it."""

    day: DaySection = DaySection()
    feed: FeedConfig = FeedConfig()
    exposure: ExposureConfig = ExposureConfig()
