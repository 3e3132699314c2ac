"""Price signals of the item record."""

import pytest

from configs.prices import load_prices
from serving.moderation.prices import DAY_MS, Sale, price_findings

NOW = 100 * DAY_MS
CN = load_prices().of("CN")


def rules(price: float | None, list_price: float | None, *sales: tuple[float, int]) -> list[str]:
    history = [Sale(amount, NOW - days * DAY_MS) for amount, days in sales]
    return [found.rule for found in price_findings(price, list_price, history, NOW, CN)]


def test_an_honest_discount_passes() -> None:
    assert rules(80, 100, (100, 2), (100, 5)) == []


def test_a_list_price_at_which_nobody_bought_is_found() -> None:
    assert rules(80, 200, (100, 2)) == ["invented-reference"]


def test_sales_outside_the_window_do_not_count() -> None:
    assert rules(80, 200, (100, 8)) == []
    assert load_prices().of("US").reference_window_days == 30


def test_raising_the_price_before_a_discount_is_found() -> None:
    assert rules(130, 200, (100, 2)) == ["invented-reference", "raised-before-sale"]


def test_ninety_six_percent_off_is_bait() -> None:
    assert rules(4, 100, (100, 1)) == ["impossible-discount"]
    assert rules(5, 100, (100, 1)) == []


def test_no_claim_no_finding() -> None:
    assert rules(100, None, (10, 1)) == rules(None, 100) == rules(100, 100, (50, 1)) == []


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_an_impossible_price_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match="price is"):
        rules(price, 100)
