"""Which rules hold where and when."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from serving.feed.rules import FeedRules

DEFAULT_SURFACE = "default"
EVERYWHERE = ""


@dataclass(frozen=True)
class Timetable:
    """Rules of one surface.

    Attributes:
        changes_ms: moments at which rules change, ascending.
        stretches: rules by region before, between and after them; EVERYWHERE for every other.
    """

    changes_ms: tuple[int, ...]
    stretches: tuple[Mapping[str, FeedRules], ...]

    def rules(self, region: str | None, now_ms: int) -> FeedRules:
        """Return what holds in a region at a moment."""
        stretch = self.stretches[bisect_right(self.changes_ms, now_ms)]
        return stretch.get(region or EVERYWHERE) or stretch[EVERYWHERE]


@dataclass(frozen=True)
class Rulebook:
    """Every surface's rules.

    Attributes:
        version: of the files that it was read from.
        surfaces: by name.
        default: name of the surface whose rules hold where another one has none.
    """

    version: str
    surfaces: Mapping[str, Timetable]
    default: str

    def rules(self, surface: str | None, region: str | None, now_ms: int) -> FeedRules:
        """Return what holds on a surface, in a region, at a moment."""
        found = self.surfaces.get(surface or self.default) or self.surfaces[self.default]
        return found.rules(region, now_ms)
