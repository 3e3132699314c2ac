"""Limits of the exploration ladder: ``configs/exposure.yaml``."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from configs.schema import Section

Impressions = Annotated[int, Field(ge=1, le=1_000_000)]


class FirstAudience(Section):
    """Impressions that every new item is guaranteed, by the grade of its shop."""

    S: Impressions = 500
    A: Impressions = 400
    B: Impressions = 300
    C: Impressions = 100
    none: Impressions = 200
    history_span: float = Field(default=0.5, ge=0, le=1)
    guarantee_s: float = Field(default=3_600, ge=1)


class TierSection(Section):
    """One step of the ladder."""

    impressions: Impressions
    bar: float = Field(ge=0, le=10)


class QualitySection(Section):
    """The quality score and what its confidence interval rests on."""

    completion: float = Field(default=0.35, ge=0, le=1)
    like: float = Field(default=0.25, ge=0, le=1)
    comment: float = Field(default=0.20, ge=0, le=1)
    share: float = Field(default=0.10, ge=0, le=1)
    follow: float = Field(default=0.10, ge=0, le=1)
    confidence: float = Field(default=0.7, ge=0, le=5)
    like_content: float = Field(default=15, gt=0, le=10_000)
    least_impressions: int = Field(default=40, ge=1)

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the reactions, in the order of the ladder."""
        return (self.completion, self.like, self.comment, self.share, self.follow)

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Self:
        if abs(sum(self.weights) - 1.0) > 1e-6:
            raise ValueError(
                f"quality.completion + like + comment + share + follow = {sum(self.weights):g}, "
                "must be 1; change one of them"
            )
        return self


class MatchSection(Section):
    """How an exploration slot is filled."""

    pool: int = Field(default=8, ge=1, le=1_000)
    temperature: float = Field(default=0.15, gt=0, le=100)
    urgency: float = Field(default=2.0, ge=0, le=100)
    places: int = Field(default=3, ge=0, le=100)
    category: float = Field(default=0.0, ge=0, le=100)


class ExposureConfig(Section):
    """``configs/exposure.yaml``."""

    first: FirstAudience = FirstAudience()
    tiers: tuple[TierSection, ...] = (
        TierSection(impressions=1_000, bar=1.05),
        TierSection(impressions=5_000, bar=1.1),
        TierSection(impressions=20_000, bar=1.2),
        TierSection(impressions=100_000, bar=1.3),
    )
    quality: QualitySection = QualitySection()
    match: MatchSection = MatchSection()
    lifetime_s: float = Field(default=172_800, ge=1)
    interval_s: float = Field(default=1.0, gt=0, le=60)

    @model_validator(mode="after")
    def _tiers_climb(self) -> Self:
        steps = [("first.S", self.first.S), ("first.A", self.first.A), ("first.B", self.first.B)]
        steps += [("first.C", self.first.C), ("first.none", self.first.none)]
        name, below = max(steps, key=lambda step: step[1])
        for n, tier in enumerate(self.tiers):
            if tier.impressions <= below:
                raise ValueError(
                    f"tiers.{n}.impressions = {tier.impressions} must be above {name} = {below}; "
                    "raise it or lower the other"
                )
            name, below = f"tiers.{n}.impressions", tier.impressions
        return self

    @model_validator(mode="after")
    def _guarantee_fits(self) -> Self:
        if self.first.guarantee_s > self.lifetime_s:
            raise ValueError(
                f"first.guarantee_s = {self.first.guarantee_s:g} must not exceed "
                f"lifetime_s = {self.lifetime_s:g}"
            )
        return self
