"""Rules of a feed surface, and the calendar that changes them; both checked as a whole."""

from typing import Any, Literal, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from configs.regions import known_regions
from configs.schema import Section

Weight = Field(default=0.0, ge=0, le=100)


class SourcesSection(Section):
    """How many candidates each source gives, before filters."""

    interest_candidates: int = Field(default=400, ge=1, le=5_000)
    similar_candidates: int = Field(default=30, ge=0, le=1_000)
    followed_candidates: int = Field(default=30, ge=0, le=1_000)
    trending_candidates: int = Field(default=20, ge=0, le=1_000)
    popular_candidates: int = Field(default=20, ge=1, le=2_000)


class ValueSection(Section):
    """The value formula: weight of each prediction of the ranker; `negative` subtracts."""

    long_view: float = Field(default=0.35, ge=0, le=100)
    click: float = Weight
    like: float = Field(default=0.25, ge=0, le=100)
    comment: float = Field(default=0.20, ge=0, le=100)
    share: float = Field(default=0.10, ge=0, le=100)
    follow: float = Field(default=0.10, ge=0, le=100)
    click_product: float = Field(default=0.05, ge=0, le=100)
    purchase: float = Field(default=1.0, ge=0, le=100)
    negative: float = Field(default=0.5, ge=0, le=100)
    watch_ratio: float = Weight

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        positive = self.model_dump(exclude={"negative"})
        if not any(positive.values()):
            keys = ", ".join(f"value.{key}" for key in positive)
            raise ValueError(f"the weights sum to zero: raise one of {keys}")
        return self


class SpreadSection(Section):
    """Creator spread: of any `window` neighbouring positions at most `limit` hold one creator."""

    window: int = Field(default=8, ge=1, le=100)
    limit: int = Field(default=2, ge=1, le=100)


class CommerceSection(Section):
    """Commerce density: products, and content that carries products."""

    window: int = Field(default=8, ge=1, le=100)
    limit: int = Field(default=3, ge=1, le=100)
    allowed_share: float = Field(default=0.5, gt=0, le=1)


class DiversitySection(Section):
    """Maximal marginal relevance over retrieval vectors."""

    strength: float = Field(default=0.75, ge=0, le=10)
    depth: int = Field(default=150, ge=10, le=1_000)


class FatigueSection(Section):
    """What was shown of a category lately without reaction lessens the value of more of it."""

    window: int = Field(default=100, ge=0, le=2_000)
    loss: float = Field(default=0.01, ge=0, le=1)
    floor: float = Field(default=0.9, gt=0, le=1)


class ReachSection(Section):
    """What was shown more often than other items since the bundle was made loses value."""

    loss: float = Field(default=0.0, ge=0, lt=1)


class SmallCreatorsSection(Section):
    """Places for the creators who hold the last share of all popularity."""

    share: float = Field(default=0.05, ge=0, le=1)
    tail: float = Field(default=0.2, gt=0, lt=1)


class ExplorationSection(Section):
    """Places of new items: one in every so many positions; 0 for none."""

    every: int = Field(default=10, ge=0, le=100)


class MinorsSection(Section):
    """Hours, where the user is, in which users under 18 see no commerce."""

    closed_from_hour: int = Field(default=22, ge=0, le=23)
    closed_until_hour: int = Field(default=8, ge=0, le=23)
    unknown_age: Literal["adult", "minor"] = "adult"


class BudgetsSection(Section):
    """Milliseconds after which a stage is given up for its fallback."""

    sources_ms: float = Field(default=50.0, gt=0)
    ranker_ms: float = Field(default=50.0, gt=0)
    selectors_ms: float = Field(default=50.0, gt=0)


class FeedConfig(Section):
    """``configs/feeds/<surface>.yaml``."""

    sources: SourcesSection = SourcesSection()
    value: ValueSection = ValueSection()
    spread: SpreadSection = SpreadSection()
    commerce: CommerceSection = CommerceSection()
    diversity: DiversitySection = DiversitySection()
    fatigue: FatigueSection = FatigueSection()
    reach: ReachSection = ReachSection()
    small_creators: SmallCreatorsSection = SmallCreatorsSection()
    exploration: ExplorationSection = ExplorationSection()
    minors: MinorsSection = MinorsSection()
    budgets: BudgetsSection = BudgetsSection()

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        for broken, words in contradictions(self):
            if broken:
                raise ValueError(words)
        return self


def contradictions(config: FeedConfig) -> list[tuple[bool, str]]:
    """Limits that no page could keep together, with both keys named: (broken, words)."""
    spread, commerce, minors = config.spread, config.commerce, config.minors
    density, small = commerce.limit / commerce.window, config.small_creators.share
    exploring = 1 / config.exploration.every if config.exploration.every else 0.0
    return [
        (
            spread.limit > spread.window,
            f"spread.limit = {spread.limit} exceeds spread.window = {spread.window}",
        ),
        (
            commerce.limit > commerce.window,
            f"commerce.limit = {commerce.limit} exceeds commerce.window = {commerce.window}",
        ),
        (
            density > commerce.allowed_share,
            f"commerce.limit = {commerce.limit} of commerce.window = {commerce.window} is more "
            f"than commerce.allowed_share = {commerce.allowed_share}",
        ),
        (
            exploring + small > 1,
            f"exploration.every = {config.exploration.every} and small_creators.share = {small} "
            "take more than all places",
        ),
        (
            minors.closed_from_hour == minors.closed_until_hour,
            f"minors.closed_from_hour = {minors.closed_from_hour} equals "
            "minors.closed_until_hour: no hour would be closed",
        ),
    ]


class BoostSection(Section):
    """Values of one item, creator or category (and what is below it) times a factor."""

    item: str | None = None
    creator: str | None = None
    category: str | None = None
    factor: float = Field(gt=0, le=10)

    @model_validator(mode="after")
    def _means_one(self) -> Self:
        named = [key for key in ("item", "creator", "category") if getattr(self, key)]
        if len(named) != 1:
            raise ValueError(f"name one of item, creator, category; found {named or 'none'}")
        return self


class CalendarEvent(Section):
    """From `starts` until `ends` some rules are other ones.

    Attributes:
        regions: where; empty for everywhere. surfaces: which; empty for all.
        changes: sections and keys of the surface's file with other values.
    """

    name: str = Field(min_length=1, max_length=100)
    starts: AwareDatetime
    ends: AwareDatetime
    reason: str = Field(min_length=1)
    regions: frozenset[str] = frozenset()
    surfaces: frozenset[str] = frozenset()
    changes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    boosts: tuple[BoostSection, ...] = ()

    @field_validator("regions")
    @classmethod
    def _known(cls, regions: frozenset[str]) -> frozenset[str]:
        codes = frozenset(one.upper() for one in regions)
        if unknown := sorted(codes - known_regions()):
            raise ValueError(f"{', '.join(unknown)}: no such region; give codes of ISO 3166")
        return codes

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.ends <= self.starts:
            raise ValueError(f"ends = {self.ends} is not later than starts = {self.starts}")
        return self


class CalendarConfig(Section):
    """``configs/calendar.yaml``."""

    events: tuple[CalendarEvent, ...] = Field(default=(), max_length=1_000)
