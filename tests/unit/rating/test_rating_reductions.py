"""Discounts and credits: their order, their bounds, and that no minor unit is lost."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain.reductions import AmountOff, Discount, PercentOff, credit, discount, spread
from shared.kernel.money import Money, total

EUR = "EUR"
CENTS = st.integers(0, 10_000_000).map(lambda cents: Money(Decimal(cents).scaleb(-2), EUR))


def eur(amount: str) -> Money:
    return Money(Decimal(amount), EUR)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_percentages_go_before_amounts_whatever_the_order(order: tuple[int, ...]) -> None:
    """10 % of 100.00, then 5 % of 90.00, then 20.00."""
    offs: list[Discount] = [PercentOff(Decimal(10)), AmountOff(eur("20")), PercentOff(Decimal(5))]

    assert eur("34.50") == discount(eur("100"), [offs[i] for i in order])


def test_a_discount_never_makes_a_price_negative() -> None:
    """15.00 off 10.00 is 10.00 off."""
    assert eur("10") == discount(eur("10"), [AmountOff(eur("15"))])


@given(lines=st.lists(CENTS, min_size=1, max_size=8), off=CENTS)
def test_allocation_loses_no_cent(lines: list[Money], off: Money) -> None:
    """The parts of a discount on an invoice add up to it, and leave no line below zero."""
    left = spread(lines, off)

    whole = total(lines, EUR)
    taken = min(off, whole, key=lambda money: money.amount)
    assert total(left, EUR) == whole - taken
    assert all(line.amount >= 0 for line in left)
    assert all(after.amount <= before.amount for before, after in zip(lines, left, strict=True))


@given(wanted=CENTS, paid=CENTS, given_before=CENTS)
def test_credit_never_exceeds_what_was_paid(
    wanted: Money, paid: Money, given_before: Money
) -> None:
    """All credits together stay within the payment; a second one gets what is left."""
    found = credit(wanted, paid=paid, given=given_before)

    assert 0 <= found.amount <= wanted.amount
    assert found.amount == 0 or (given_before + found).amount <= paid.amount
