from pathlib import Path

import pytest
import yaml

from configs.exposure import ExposureConfig
from configs.load import ConfigError, load

FILE = Path(__file__).parents[2] / "configs" / "exposure.yaml"


def test_the_file_says_the_defaults() -> None:
    assert load(FILE, ExposureConfig, {}) == ExposureConfig()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"tiers": [{"impressions": 500, "bar": 1.0}]},
            r"tiers\.0\.impressions = 500 must be above first\.S = 500",
        ),
        (
            {"tiers": [{"impressions": 900, "bar": 1}, {"impressions": 600, "bar": 1}]},
            r"tiers\.1\.impressions = 600 must be above tiers\.0\.impressions = 900",
        ),
        ({"quality": {"like": 0.5}}, r"quality\.completion \+ like .* = 1\.25, must be 1"),
        ({"lifetime_s": 60}, r"first\.guarantee_s = 3600 must not exceed lifetime_s = 60"),
        ({"first": {"D": 5}}, "first"),
        ({"first": {"S": 0}}, "first"),
    ],
)
def test_limits_that_contradict_are_refused_with_both_keys(
    section: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "exposure.yaml"
    path.write_text(yaml.safe_dump(section), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load(path, ExposureConfig, {})
