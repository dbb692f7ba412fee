"""Figures as people read them: decimals, and the arithmetic of a licence charge."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from shared.contracts.rating import ChargeRated
from shared.kernel.money import to_decimal


def plain(value: Decimal) -> str:
    """Every digit that says something: `0.2304`, not `0.230400000000000000`; never an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def licence_exact(charge: ChargeRated) -> Decimal:
    """Quantity × unit price × share, before rounding."""
    share = charge.proration
    part = Fraction(share.days, share.cycle_days) if share else Fraction(1)
    unit = charge.price.unit_price or Decimal(0)
    return to_decimal(Fraction(charge.quantity) * Fraction(unit) * part)


def licence_arithmetic(charge: ChargeRated) -> str:
    """`5 × 22.55 × 17/30 = 63.891666666666666667 → 63.89 USD`."""
    text = f"{charge.quantity:f} × {charge.price.unit_price or Decimal(0):f}"
    if charge.proration:
        text += f" × {charge.proration.days}/{charge.proration.cycle_days}"
    return f"{text} = {then_rounded(licence_exact(charge), charge)}"


def then_rounded(exact: Decimal, charge: ChargeRated) -> str:
    """`63.8916… → 63.89 USD`; one figure where nothing was rounded."""
    rounded = f"{charge.amount:f} {charge.currency}"
    return rounded if exact == charge.amount else f"{exact:f} → {rounded}"
