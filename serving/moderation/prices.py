"""Price fraud that the item record itself shows: list price, price, and what it sold for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from configs.prices import PriceLimits

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Sale:
    """A price at which the item was on sale; `price` in the item's currency."""

    price: float
    time_ms: int


@dataclass(frozen=True)
class PriceFinding:
    """One finding: which rule, under which statute, and the numbers in words."""

    rule: str
    statute: str
    detail: str


def price_findings(
    price: float | None,
    list_price: float | None,
    history: Sequence[Sale],
    now_ms: int,
    limits: PriceLimits,
) -> list[PriceFinding]:
    """Findings about one item's price; none where no discount is claimed.

    Args:
        price: what is asked now.
        list_price: the struck-out price that it is compared with.
        history: past sale prices in any order; those outside the window count for nothing.
        now_ms: the moment of judgement, ms since 1970.
        limits: of the item's region.

    Raises:
        ValueError: a price is negative or not finite.
    """
    for name, value in (("price", price), ("list_price", list_price)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is {value}; it must be a finite number >= 0")
    if price is None or list_price is None or list_price <= price:
        return []
    window_ms = limits.reference_window_days * DAY_MS
    recent = [sale.price for sale in history if 0 <= now_ms - sale.time_ms <= window_ms]
    return [
        *_impossible(price, list_price, limits),
        *(_invented_reference(list_price, min(recent), limits) if recent else ()),
        *(_raised_first(price, min(recent), limits) if recent else ()),
    ]


def _impossible(price: float, list_price: float, limits: PriceLimits) -> list[PriceFinding]:
    discount = 1 - price / list_price
    if discount <= limits.impossible_discount:
        return []
    detail = (
        f"{price:g} is {discount:.0%} off {list_price:g}; over {limits.impossible_discount:.0%}"
    )
    return [PriceFinding("impossible-discount", limits.statute, detail)]


def _invented_reference(
    list_price: float, lowest: float, limits: PriceLimits
) -> list[PriceFinding]:
    if list_price <= lowest * (1 + limits.reference_tolerance):
        return []
    detail = (
        f"compared with {list_price:g}, but it sold at {lowest:g} within "
        f"{limits.reference_window_days} days"
    )
    return [PriceFinding("invented-reference", limits.statute, detail)]


def _raised_first(price: float, lowest: float, limits: PriceLimits) -> list[PriceFinding]:
    if price <= lowest * limits.raised_before_sale:
        return []
    detail = f"called a discount at {price:g}, after {lowest:g} in the window"
    return [PriceFinding("raised-before-sale", limits.statute, detail)]
