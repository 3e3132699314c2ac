"""What operators have laid upon the feed: pins, boosts, burials and kill switches."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from serving.feed.candidates import SOURCES
from serving.feed.rules import Boost, FeedRules, Pin

ControlKind = Literal["pin", "boost", "bury", "kill"]
KINDS: tuple[ControlKind, ...] = get_args(ControlKind)
ANYWHERE = "*"
LAST_POSITION = 100
LARGEST_FACTOR = 10.0
GROUPS = ("item", "creator", "category")
SELECTORS = (
    "creator_spread",
    "commerce_density",
    "diversity",
    "fatigue",
    "reach",
    "small_creators",
)
ALWAYS_ASKED = ("popular", "request", "pinned")  # without them a page could not be filled
SWITCHES = (
    "ranker",
    *(f"source:{name}" for name in SOURCES if name not in ALWAYS_ASKED),
    *(f"selector:{name}" for name in SELECTORS),
)


@dataclass(frozen=True)
class Control:
    """One act of an operator that holds until it is lifted or over.

    Attributes:
        kind: pin, boost, bury or kill.
        target: ``item:ID``, ``creator:ID`` or ``category:PATH``; of kill one of SWITCHES.
        surface: name, or ANYWHERE. region: upper case, or ANYWHERE.
        value: of a pin the position from 1, of a boost the factor; 0 otherwise.
        until_ms: when it ends, ms since 1970; None for when it is lifted.
    """

    kind: ControlKind
    target: str
    surface: str = ANYWHERE
    region: str = ANYWHERE
    value: float = 0.0
    until_ms: int | None = None

    def holds(self, surface: str | None, region: str | None, now_ms: int) -> bool:
        """Whether it counts for a request."""
        here = self.surface in (ANYWHERE, surface) and self.region in (ANYWHERE, region)
        return here and (self.until_ms is None or now_ms < self.until_ms)


def fault_of(control: Control) -> tuple[str, str] | None:
    """What is wrong with a control: field and limit; None if nothing is."""
    group, _, name = control.target.partition(":")
    if control.kind == "kill":
        allowed = ", ".join(SWITCHES)
        return None if control.target in SWITCHES else ("target", f"one of {allowed}")
    groups = ("item",) if control.kind == "pin" else GROUPS
    if group not in groups or not name:
        return "target", " or ".join(f"{one}:NAME" for one in groups)
    if control.kind == "pin" and control.value not in range(1, LAST_POSITION + 1):
        return "value", f"a position from 1 to {LAST_POSITION}"
    if control.kind == "boost" and not 0 < control.value <= LARGEST_FACTOR:
        return "value", f"a factor above 0, at most {LARGEST_FACTOR:g}"
    return None


def controlled(
    rules: FeedRules,
    controls: Iterable[Control],
    surface: str | None,
    region: str | None,
    now_ms: int,
) -> FeedRules:
    """The rules with what operators laid upon them for one surface and region."""
    holding = [one for one in controls if one.holds(surface, region, now_ms)]
    if not holding:
        return rules
    boosts = tuple(
        Boost(*_named(one.target), one.value if one.kind == "boost" else 0.0)
        for one in holding
        if one.kind in ("boost", "bury")
    )
    pins = tuple(Pin(_named(one.target)[1], int(one.value)) for one in holding if one.kind == "pin")
    killed = frozenset(one.target for one in holding if one.kind == "kill")
    return replace(
        rules,
        boosts=rules.boosts + boosts,
        pins=rules.pins + pins,
        killed=rules.killed | killed,
    )


def _named(target: str) -> tuple[str, str]:
    group, _, name = target.partition(":")
    return group, name
