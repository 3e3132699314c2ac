"""Regions of the world by their two capitals (ISO 3166-1), as the tzdata package lists them."""

from functools import cache
from importlib import resources


@cache
def known_regions() -> frozenset[str]:
    """All codes."""
    table = resources.files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text("utf-8")
    return frozenset(line[:2] for line in table.splitlines() if line and line[0] != "#")
