"""Exact money: amounts are `Decimal`, rounding is a named choice at a named place.

A currency has its own exponent (JPY 0, EUR 2, KWD 3). Amounts stay exact until an invoice line is
closed; the line is rounded once and totals are sums of rounded lines (decision 0003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from enum import StrEnum
from fractions import Fraction

from shared.kernel.errors import Invalid

# Wide enough for quantity (18 digits after the point) × price (18) × rate (10) without loss.
EXACT = Context(prec=76, traps=[InvalidOperation, DivisionByZero, Overflow])

# ISO 4217 minor units that are not 2. A test holds this table against Babel-free ISO data.
_EXPONENTS = {
    "BHD": 3, "BIF": 0, "CLF": 4, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3,
    "JPY": 0, "KMF": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3,
    "UGX": 0, "UYI": 0, "UYW": 4, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip


class Rounding(StrEnum):
    """Every rounding the product performs, by the name printed beside the figure."""

    HALF_AWAY = "half_away"  # ties away from zero; every customer amount
    DOWN = "down"  # toward zero; the provider's ROUNDDOWN
    HALF_EVEN = "half_even"


_MODES = {
    Rounding.HALF_AWAY: ROUND_HALF_UP,
    Rounding.DOWN: ROUND_DOWN,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
}


def exponent(currency: str) -> int:
    """Digits after the point of `currency`'s minor unit (ISO 4217)."""
    _require_code(currency)
    return _EXPONENTS.get(currency, 2)


def round_to(value: Decimal | Fraction, places: int, rounding: Rounding) -> Decimal:
    """Round an exact value to `places` digits after the point."""
    quantum = Decimal(1).scaleb(-places)
    if isinstance(value, Decimal):
        return value.quantize(quantum, rounding=_MODES[rounding], context=EXACT) + 0
    return _round_fraction(value, places, rounding) + 0


def _round_fraction(value: Fraction, places: int, rounding: Rounding) -> Decimal:
    numerator, denominator = abs(value.numerator), value.denominator
    if places >= 0:
        numerator *= 10**places
    else:
        denominator *= 10**-places
    units, rest = divmod(numerator, denominator)
    twice = 2 * rest
    tie = twice == denominator
    match rounding:
        case Rounding.HALF_AWAY:
            up = twice >= denominator
        case Rounding.HALF_EVEN:
            up = twice > denominator or (tie and units % 2 == 1)
        case Rounding.DOWN:
            up = False
    magnitude = Decimal(units + int(up)).scaleb(-places, context=EXACT)
    return -magnitude if value < 0 else magnitude


def to_decimal(value: Fraction, places: int = 18) -> Decimal:
    """The decimal kept beside a rounded amount: exact where it terminates, else `places` digits."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator == 1:
        return EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    return round_to(value, places, Rounding.HALF_EVEN)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount of one currency. Arithmetic across currencies is a programming error.

    `amount` may carry more digits than the currency has; `rounded()` closes it.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"money takes a Decimal, not {type(self.amount).__name__}")
        if not self.amount.is_finite():
            raise Invalid("amount_not_finite", f"{self.amount} is not an amount of money")
        _require_code(self.currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(Decimal(0), currency)

    def rounded(self, rounding: Rounding = Rounding.HALF_AWAY) -> Money:
        """This amount in whole minor units of its currency."""
        return Money(round_to(self.amount, exponent(self.currency), rounding), self.currency)

    @property
    def minor(self) -> int:
        """Whole minor units; raises Invalid if the amount is not closed yet."""
        scaled = self.amount.scaleb(exponent(self.currency), context=EXACT)
        if scaled != scaled.to_integral_value():
            raise Invalid("amount_not_rounded", f"{self} has fractions of the minor unit")
        return int(scaled)

    def __add__(self, other: Money) -> Money:
        return Money(EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        if isinstance(factor, bool) or not isinstance(factor, Decimal | int):
            raise TypeError(f"money is multiplied by Decimal or int, not {type(factor).__name__}")
        return Money(EXACT.multiply(self.amount, Decimal(factor)), self.currency)

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    def _same(self, other: Money) -> Decimal:
        if other.currency != self.currency:
            raise Invalid("currency_mismatch", f"{self.currency} and {other.currency} do not add")
        return other.amount


def total(amounts: Sequence[Money], currency: str) -> Money:
    """Sum in `currency`; an empty sequence is zero."""
    result = Money.zero(currency)
    for amount in amounts:
        result += amount
    return result


def allocate(whole: Money, weights: Sequence[Decimal]) -> list[Money]:
    """Split a rounded amount by weights without losing a minor unit.

    Each share is floored (toward zero) and the units left over go to the largest remainders, first
    come first served on ties, so the shares always sum to `whole`.
    """
    weight_sum = sum((Fraction(w) for w in weights), Fraction(0))
    if not weights or weight_sum <= 0 or any(w < 0 for w in weights):
        raise Invalid("weights_not_positive", "an allocation needs weights with a positive sum")
    sign = -1 if whole.amount < 0 else 1
    units = abs(whole.minor)
    exact = [units * Fraction(w) / weight_sum for w in weights]
    shares = [e.numerator // e.denominator for e in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[: units - sum(shares)]:
        shares[i] += 1
    scale = -exponent(whole.currency)
    return [Money(Decimal(sign * s).scaleb(scale, context=EXACT), whole.currency) for s in shares]


def _require_code(currency: str) -> None:
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        raise Invalid("currency_unknown", f"{currency!r} is not an ISO 4217 code")
