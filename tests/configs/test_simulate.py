from pathlib import Path

from configs.load import load
from configs.simulate import SimulateConfig


def test_the_simulated_day_is_as_the_bars_ask() -> None:
    config = load(Path(__file__).parents[2] / "configs" / "simulate.yaml", SimulateConfig, {})
    first = config.exposure.first
    assert (config.day.hours, config.day.items_an_hour) == (24, 20)
    assert {first.S, first.A, first.B, first.C, first.none} <= set(range(20, 101))
    assert [tier.impressions for tier in config.exposure.tiers] == [200, 800]
