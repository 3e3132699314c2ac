"""Schema of ``configs/prices.yaml``: limits on what an item record says of its price."""

from pathlib import Path

from pydantic import Field

from configs.load import load
from configs.schema import Section

PATH = Path(__file__).with_name("prices.yaml")


class PriceLimits(Section):
    """Limits of one group of regions; see the YAML for their meaning."""

    regions: tuple[str, ...]
    statute: str
    reference_window_days: int = Field(ge=1)
    reference_tolerance: float = Field(ge=0, lt=1)
    impossible_discount: float = Field(gt=0, lt=1)
    raised_before_sale: float = Field(gt=1)


class Prices(Section):
    """Limits by region."""

    cn: PriceLimits
    other: PriceLimits

    def of(self, region: str) -> PriceLimits:
        """Limits that hold in a region."""
        return self.cn if region in self.cn.regions else self.other


def load_prices(path: Path = PATH) -> Prices:
    """Read the limits; no environment variable changes them."""
    return load(path, Prices, environ={})
