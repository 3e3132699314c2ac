"""Configuration of surfaces and of the ladder, as the plain values that the feed takes."""

from configs.exposure import ExposureConfig
from configs.feed import BoostSection, FeedConfig
from serving.feed.audience import AudienceRules
from serving.feed.exposure import NO_GRADE, LadderRules
from serving.feed.rules import (
    Boost,
    DiversityRules,
    ExplorationRules,
    FatigueRules,
    FeedRules,
    MinorRules,
    ReachRules,
    SmallCreatorRules,
    StageBudgets,
    ValueWeights,
    WindowRule,
)


def boost_of(section: BoostSection) -> Boost:
    """Return the plain values of one boost."""
    kind = next(kind for kind in ("item", "creator", "category") if getattr(section, kind))
    return Boost(kind, getattr(section, kind), section.factor)


def rules_of(config: FeedConfig, boosts: tuple[Boost, ...] = ()) -> FeedRules:
    """Return the plain values of one surface."""
    minors = config.minors
    return FeedRules(
        **config.sources.model_dump(),
        creator_window=config.spread.window,
        creator_limit=config.spread.limit,
        value=ValueWeights(**config.value.model_dump()),
        commerce=WindowRule(config.commerce.window, config.commerce.limit),
        diversity=DiversityRules(**config.diversity.model_dump()),
        fatigue=FatigueRules(**config.fatigue.model_dump()),
        reach=ReachRules(**config.reach.model_dump()),
        small_creators=SmallCreatorRules(**config.small_creators.model_dump()),
        exploration=ExplorationRules(**config.exploration.model_dump()),
        minors=MinorRules(
            minors.closed_from_hour, minors.closed_until_hour, minors.unknown_age == "minor"
        ),
        budgets=StageBudgets(**config.budgets.model_dump()),
        boosts=boosts,
    )


def ladder_rules(config: ExposureConfig) -> LadderRules:
    """Return budgets, tiers and quality of the ladder."""
    first, quality = config.first, config.quality
    return LadderRules(
        first={"S": first.S, "A": first.A, "B": first.B, "C": first.C, NO_GRADE: first.none},
        history_span=first.history_span,
        tiers=tuple(tier.impressions for tier in config.tiers),
        bars=tuple(tier.bar for tier in config.tiers),
        weights=quality.weights,
        confidence=quality.confidence,
        like_content=quality.like_content,
        least_impressions=quality.least_impressions,
        guarantee_ms=round(first.guarantee_s * 1000),
        lifetime_ms=round(config.lifetime_s * 1000),
    )


def audience_rules(config: ExposureConfig) -> AudienceRules:
    """Return how the ladder's places are filled."""
    return AudienceRules(**config.match.model_dump())
