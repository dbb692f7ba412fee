"""Which entered rate counts on a day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from shared.kernel.errors import Held
from shared.kernel.fx import FxRate, rate_on


def rate(day: int, version: int, value: str, *, target: str = "EUR") -> FxRate:
    return FxRate("USD", target, date(2026, 4, day), version, Decimal(value), "ECB")


RATES = [
    rate(30, 1, "0.93"),
    rate(10, 2, "0.92"),
    rate(10, 1, "0.91"),
    rate(12, 9, "0.80", target="GBP"),
]


@pytest.mark.parametrize(("day", "counts"), [(10, "0.92"), (29, "0.92"), (30, "0.93")])
def test_the_latest_day_and_its_newest_version_count(day: int, counts: str) -> None:
    """Whatever the order in which they were entered, and nothing of another pair."""
    found = rate_on(date(2026, 4, day), RATES, source="USD", target="EUR")

    assert Decimal(counts) == found.rate


@pytest.mark.parametrize(("day", "pair"), [(9, ("USD", "EUR")), (30, ("EUR", "USD"))])
def test_a_rate_is_never_guessed(day: int, pair: tuple[str, str]) -> None:
    """Not from a later day, and not by turning one around."""
    with pytest.raises(Held, match=f"no rate {pair[0]} to {pair[1]} on or before 2026-04-"):
        rate_on(date(2026, 4, day), RATES, source=pair[0], target=pair[1])
