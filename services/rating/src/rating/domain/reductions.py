"""What is taken off a price: discounts in a fixed order, and credits up to what was paid.

Percentages go before fixed amounts, whatever order they were agreed in; nothing falls below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from shared.kernel.money import Money, allocate, total


@dataclass(frozen=True, slots=True)
class PercentOff:
    percent: Decimal


@dataclass(frozen=True, slots=True)
class AmountOff:
    amount: Money


Discount = PercentOff | AmountOff


def discount(price: Money, discounts: Sequence[Discount]) -> Money:
    """The sum of all discounts on a price, each rounded on its own, at most the price."""
    left = price
    for one in sorted(discounts, key=lambda d: isinstance(d, AmountOff)):
        if isinstance(one, PercentOff):
            off = (left * one.percent * Decimal("0.01")).rounded()
        else:
            off = one.amount
        left = max(left - off, Money.zero(price.currency), key=lambda m: m.amount)
    return price - left


def spread(lines: Sequence[Money], off: Money) -> list[Money]:
    """What is left of each line once a discount on their sum is spread over them in proportion; not
    a minor unit is lost, and no line falls below zero."""
    whole = total(lines, off.currency)
    if whole.amount <= 0:
        return list(lines)
    bounded = min(off, whole, key=lambda m: m.amount)
    parts = allocate(bounded, [line.amount for line in lines])
    return [line - part for line, part in zip(lines, parts, strict=True)]


def credit(wanted: Money, *, paid: Money, given: Money) -> Money:
    """How much may be credited: never more than was paid and not credited yet, never below zero."""
    left = paid - given
    possible = min(wanted, paid, left, key=lambda m: m.amount)
    return max(possible, Money.zero(wanted.currency), key=lambda m: m.amount)
