"""What operators have laid upon the feed: pins, boosts, burials and kill switches."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from serving.feed.candidates import SOURCES
from serving.feed.rules import Boost, FeedRules, Pin

ControlKind = Literal["pin", "boost", "bury", "kill"]
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
        return here and not self.is_over(now_ms)

    def is_over(self, now_ms: int) -> bool:
        """Whether its time has passed."""
        return self.until_ms is not None and self.until_ms <= now_ms


def fault_of(control: Control, now_ms: int) -> tuple[str, str] | None:
    """What is wrong with a control: field and limit; None if nothing is."""
    if (limit := _target_limit(control)) is not None:
        return "target", limit
    if (limit := _value_limit(control)) is not None:
        return "value", limit
    if control.until_ms is not None and control.until_ms <= now_ms:
        return "until", "a moment that is still to come"
    return None


def contradicts(one: Control, other: Control) -> bool:
    """Whether two controls cannot both have their way where they hold."""
    if (one.surface, one.region) != (other.surface, other.region):
        return False  # the narrower one is an exception that was meant
    kinds = {one.kind, other.kind}
    if one.target == other.target:
        return "bury" in kinds and kinds != {"bury"}
    return kinds == {"pin"} and one.value == other.value


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


def _target_limit(control: Control) -> str | None:
    if control.kind == "kill":
        return None if control.target in SWITCHES else f"one of {', '.join(SWITCHES)}"
    group, _, name = control.target.partition(":")
    groups = ("item",) if control.kind == "pin" else GROUPS
    if group in groups and name:
        return None
    return " or ".join(f"{one}:NAME" for one in groups)


def _value_limit(control: Control) -> str | None:
    value = control.value
    if control.kind == "pin":
        fits, limit = value in range(1, LAST_POSITION + 1), f"a position from 1 to {LAST_POSITION}"
    elif control.kind == "boost":
        fits = 0 < value <= LARGEST_FACTOR
        limit = f"a factor above 0, at most {LARGEST_FACTOR:g}"
    else:
        fits, limit = value == 0, f"no value: a {control.kind} has none"
    return None if fits else limit


def _named(target: str) -> tuple[str, str]:
    group, _, name = target.partition(":")
    return group, name
