"""Amounts of a provider line: an exact unit price, truncated in one of the documented ways (R-SUB).

The provider's own examples disagree on where the truncation happens, so every line carries its
amount under each mode, and which one is shown is a setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from shared.kernel.money import EXACT, exponent, round_to
from shared.kernel.money import Rounding as KernelRounding

PRICE_PLACES = 10  # printed digits of an effective unit price; the exact one is kept


class Rounding(StrEnum):
    """Where ROUNDDOWN is applied."""

    UNIT = "unit"  # to the unit price (and rate), then × quantity: the documented formula
    LINE = "line"  # to the product: what the examples of seat changes show
    MONTH_FRACTION = "month_fraction"  # to a unit price of whole months: changes of billing plan
    HALF_UP = "half_up"  # to the product, to the nearest: what older examples show
    NONE = "none"  # all of them agree


PRINTED = (Rounding.UNIT, Rounding.LINE, Rounding.MONTH_FRACTION, Rounding.HALF_UP)


DOCUMENTED_VERSION = "provider-rounding/v1"
DOCUMENTED = {
    "convert": Rounding.UNIT,
    "moveQuantity": Rounding.UNIT,
    "cancelImmediate": Rounding.UNIT,
    "changeBillingPlan": Rounding.MONTH_FRACTION,
}  # every other charge type: LINE; converted currencies: UNIT


@dataclass(frozen=True, slots=True)
class Rate:
    """Pricing currency → billing currency, of the month of the charge (R-FX)."""

    rate: Decimal
    billing_currency: str


@dataclass(frozen=True, slots=True)
class Figure:
    """Price × share × quantity before any rounding. `quantity` is negative on refunds."""

    price: Decimal
    discount: Decimal
    share: Fraction
    quantity: Decimal
    currency: str
    rate: Rate | None = None
    month_share: Fraction | None = None

    @property
    def unit(self) -> Fraction:
        """EffectiveUnitPrice, unrounded, never negative: by days (R-EUP), or by whole months where
        the plan changes (R-PLAN)."""
        share = self.share if self.month_share is None else self.month_share
        return Fraction(self.price) * (1 - Fraction(self.discount)) * share

    @property
    def amounts(self) -> dict[Rounding, Decimal]:
        """Under every documented mode."""
        by_unit = EXACT.multiply(self._rounded(self.unit * self._rate), self.quantity) + 0
        line = self.unit * Fraction(self.quantity) * self._rate
        return {
            Rounding.UNIT: by_unit,
            Rounding.LINE: self._rounded(line),
            Rounding.MONTH_FRACTION: by_unit,
            Rounding.HALF_UP: self._rounded(line, KernelRounding.HALF_AWAY),
        }

    def printed_unit(self, mode: Rounding) -> Decimal:
        """As the file shows it: signed like the line, truncated where the mode truncates it."""
        places = PRICE_PLACES
        if mode in {Rounding.UNIT, Rounding.MONTH_FRACTION}:
            places = exponent(self.currency)
        shown = _plain(round_to(self.unit, places, KernelRounding.DOWN), exponent(self.currency))
        return -shown if self.quantity < 0 and shown else shown

    @property
    def _rate(self) -> Fraction:
        return Fraction(self.rate.rate) if self.rate else Fraction(1)

    def _rounded(self, value: Fraction, how: KernelRounding = KernelRounding.DOWN) -> Decimal:
        currency = self.rate.billing_currency if self.rate else self.currency
        return round_to(value, exponent(currency), how)


def _plain(value: Decimal, places: int) -> Decimal:
    """Without zeros behind the minor unit."""
    short = value.normalize(EXACT)
    digits = max(places, -int(short.as_tuple().exponent))
    return round_to(short, digits, KernelRounding.DOWN)
