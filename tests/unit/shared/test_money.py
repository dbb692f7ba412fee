"""Money is exact, rounds by name and never loses a minor unit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.errors import Invalid
from shared.kernel.money import Money, Rounding, allocate, exponent, round_to, to_decimal, total

amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=6)
currencies = st.sampled_from(["EUR", "JPY", "KWD", "USD"])


@pytest.mark.parametrize(
    ("value", "places", "rounding", "expected"),
    [
        ("86.056437", 2, Rounding.HALF_AWAY, "86.06"),
        ("-1.734175", 2, Rounding.HALF_AWAY, "-1.73"),
        ("0.125", 2, Rounding.HALF_AWAY, "0.13"),
        ("-0.125", 2, Rounding.HALF_AWAY, "-0.13"),
        ("0.125", 2, Rounding.HALF_EVEN, "0.12"),
        ("0.135", 2, Rounding.HALF_EVEN, "0.14"),
        ("10.229", 2, Rounding.DOWN, "10.22"),
        ("-10.229", 2, Rounding.DOWN, "-10.22"),
        ("5637.5", 0, Rounding.HALF_AWAY, "5638"),
        ("1.0005", 3, Rounding.HALF_AWAY, "1.001"),
        ("-0.001", 2, Rounding.HALF_AWAY, "0.00"),
    ],
)
def test_rounding_modes_are_what_their_names_say(
    value: str, places: int, rounding: Rounding, expected: str
) -> None:
    """Ties, credits and currencies without or with three decimals."""
    rounded = round_to(Decimal(value), places, rounding)
    from_fraction = round_to(Fraction(value), places, rounding)

    assert expected == f"{rounded:f}"
    assert expected == f"{from_fraction:f}"


@given(amounts, st.integers(0, 4), st.sampled_from(list(Rounding)))
def test_decimal_and_fraction_round_alike(value: Decimal, places: int, rounding: Rounding) -> None:
    """The two exact representations never disagree about a cent."""
    assert round_to(value, places, rounding) == round_to(Fraction(value), places, rounding)


@given(amounts, currencies)
def test_rounding_moves_an_amount_by_at_most_half_a_unit(value: Decimal, currency: str) -> None:
    """Half away from zero stays within half a minor unit."""
    rounded = Money(value, currency).rounded()

    assert abs(rounded.amount - value) * 2 <= Decimal(1).scaleb(-exponent(currency))


@given(
    st.integers(-(10**9), 10**9),
    st.lists(st.decimals(min_value=0, max_value=1000, places=2), min_size=1, max_size=12),
    currencies,
)
def test_an_allocation_sums_to_the_whole(units: int, weights: list[Decimal], currency: str) -> None:
    """Whatever the weights, no minor unit is lost or made."""
    if not sum(weights):
        weights = [*weights, Decimal(1)]
    whole = Money(Decimal(units).scaleb(-exponent(currency)), currency)

    shares = allocate(whole, weights)

    assert whole == total(shares, currency)
    assert all(share.amount * whole.amount >= 0 for share in shares)


def test_the_june_bundle_is_allocated_by_largest_remainders() -> None:
    """Scenario 3: 703.95 over four stand-alone prices."""
    weights = [Decimal(w) for w in ("19.70", "6.20", "5.60", "14.00")]

    shares = allocate(Money(Decimal("703.95"), "GBP"), weights)

    assert [f"{s.amount:f}" for s in shares] == ["304.79", "95.92", "86.64", "216.60"]


def test_currencies_do_not_mix() -> None:
    """Adding yen to euros is an error, not a number."""
    with pytest.raises(Invalid, match="currency_mismatch"):
        Money(Decimal(1), "JPY") + Money(Decimal(1), "EUR")


def test_money_refuses_binary_floats() -> None:
    """No float ever becomes money."""
    with pytest.raises(TypeError):
        Money(0.1, "EUR")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(TypeError):
        Money(Decimal(1), "EUR") * 0.5  # type: ignore[operator]  # the point of the test


def test_an_unrounded_amount_has_no_minor_units() -> None:
    """What is not closed cannot be handed to a payment provider."""
    with pytest.raises(Invalid, match="amount_not_rounded"):
        _ = Money(Decimal("0.005"), "EUR").minor


@pytest.mark.parametrize(
    ("value", "expected"),
    [(Fraction(1, 4), "0.25"), (Fraction(1, 3), "0.333333333333333333"), (Fraction(-7), "-7")],
)
def test_exact_text_terminates_or_has_eighteen_digits(value: Fraction, expected: str) -> None:
    """The figure kept beside a rounded amount."""
    assert expected == f"{to_decimal(value):f}"
