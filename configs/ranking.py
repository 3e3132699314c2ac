"""Settings of the ranker's recipe: ``configs/ranker/*.yaml``."""

from pydantic import Field

from configs.schema import Section


class DataSection(Section):
    """What is learned from."""

    history_events: int = Field(default=200, ge=1)  # newest events of a user, as served
    reads_impressions: bool = False  # what was shown and not reacted to is part of the history
    time_zone: str = "UTC"  # of users whose record names none
    impressions_limit: int = Field(default=1_000_000, ge=100)  # the newest so many
    reads_vectors: bool = True  # of towers that learned from the same impressions: they know more
    #   of these than of the next ones; read them where taste outweighs that, and measure it
    rate_strength: float = Field(default=5.0, gt=0)  # reactions at the overall rate that an item's
    #   own rate starts from; more trusts items less that were seldom shown
    user_strength: float = Field(default=10.0, gt=0)  # impressions at the overall rates that a
    #   user's own rates start from
    least_reactions: int = Field(default=100, ge=1)  # a rarer task is left out
    test_share: float = Field(default=0.1, gt=0, lt=1)  # newest part of the log that `time-split`
    #   leaves for judging; the longer, the narrower the intervals and the less is learned from


class NetworkSection(Section):
    """Shape of the network."""

    seeds: int = Field(default=3, ge=1, le=16)  # networks averaged
    hidden: int = Field(default=64, ge=1, le=1_024)  # of the first layer
    width: int = Field(default=48, ge=1, le=512)  # of the second
    dropout: float = Field(default=0.2, ge=0, lt=1)


class RankerFitSection(Section):
    """How the network is fitted."""

    epochs: int = Field(default=4, ge=1)
    batch_size: int = Field(default=512, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    watch_weight: float = Field(default=0.3, ge=0)  # of the squared error of the watch ratio


class DistilSection(Section):
    """A teacher of trees and networks, and what the served network asks it."""

    pairs: int = Field(default=0, ge=0, le=16)  # items not shown, an impression; 0: no teacher
    least_reactions: int = Field(default=1_000, ge=1)  # networks alone teach a rarer task
    network: NetworkSection = NetworkSection(seeds=6)  # of the teacher
    fit: RankerFitSection = RankerFitSection()


class RankerConfig(Section):
    """``configs/ranker/*.yaml``."""

    data: DataSection = DataSection()
    network: NetworkSection = NetworkSection()
    fit: RankerFitSection = RankerFitSection()
    distil: DistilSection = DistilSection()
