"""Tiers, blocks and commitments at their edges, and what must hold for any price by quantity."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain import tiers
from rating.domain.tiers import Bound, Tier, Tiers
from shared.kernel.errors import Invalid

STEPS = (
    Tier(Decimal(10), Fraction(5), Fraction(100)),
    Tier(Decimal(20), Fraction(4), Fraction(50)),
    Tier(None, Fraction(3)),
)
UNITS = st.decimals(0, 100, places=3)


@pytest.mark.parametrize(
    ("units", "graduated", "volume"),
    [
        ("0", "0", "0"),
        ("9", "145", "145"),
        ("10", "150", "150"),
        ("10.5", "202", "92"),
        ("11", "204", "94"),
        ("20", "240", "130"),
        ("21", "243", "63"),
    ],
)
def test_tier_edges(units: str, graduated: str, volume: str) -> None:
    """Nothing, one below a bound, the bound, one above, and between whole units."""
    price = Tiers(STEPS)

    assert Fraction(graduated) == tiers.graduated(price, Decimal(units))
    assert Fraction(volume) == tiers.volume(price, Decimal(units))


@pytest.mark.parametrize(("bound", "expected"), [(Bound.INCLUSIVE, "150"), (Bound.EXCLUSIVE, "90")])
def test_a_quantity_at_the_bound_is_in_the_tier_that_the_bound_says(
    bound: Bound, expected: str
) -> None:
    """Up to and including ten, or less than ten."""
    assert Fraction(expected) == tiers.volume(Tiers(STEPS, bound), 10)


def test_a_flat_fee_without_use_is_a_setting() -> None:
    """Some bill the first tier's fee for an idle month, some do not."""
    assert tiers.graduated(Tiers(STEPS), 0) == 0
    assert tiers.graduated(Tiers(STEPS, flat_fee_at_zero=True), 0) == 100
    assert tiers.volume(Tiers(STEPS, flat_fee_at_zero=True), 0) == 100


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (Tier(None), Tier(None)),
        (Tier(Decimal(2)), Tier(Decimal(1))),
        (Tier(Decimal(0)), Tier(None)),
    ],
)
def test_tiers_out_of_order_are_refused(rows: tuple[Tier, ...]) -> None:
    """A gap or an overlap would price a unit twice or never."""
    with pytest.raises(Invalid):
        Tiers(rows)


@given(units=UNITS)
def test_the_tiers_of_a_quantity_hold_all_of_it(units: Decimal) -> None:
    """No unit lies between two tiers, or in two."""
    parts = Tiers(STEPS).spread(units)

    assert Fraction(units) == sum((inside for _, inside in parts), Fraction(0))
    assert all(inside >= 0 for _, inside in parts)


@given(first=UNITS, more=UNITS)
def test_a_period_billed_in_two_parts_costs_what_it_costs_at_once(
    first: Decimal, more: Decimal
) -> None:
    """The second invoice continues in the tier where the first one stopped."""
    price = Tiers(STEPS)

    booked = tiers.further(lambda units: tiers.graduated(price, units), [first, first + more])

    assert tiers.graduated(price, first + more) == sum(booked, Fraction(0))


@given(first=UNITS, more=UNITS)
def test_more_use_never_costs_less_when_graduated(first: Decimal, more: Decimal) -> None:
    """Volume prices may fall at a bound; graduated prices may not."""
    price = Tiers(STEPS)

    assert tiers.graduated(price, first) <= tiers.graduated(price, first + more)


@given(changes=st.lists(st.integers(-20, 20), max_size=8))
def test_unprorated_changes_cost_what_their_sum_costs(changes: list[int]) -> None:
    """Placing changes in tiers one by one is the graduated price of what they come to, but that a
    flat fee stays due once its tier was reached."""
    flat_free = Tiers(tuple(Tier(t.up_to, t.unit_price) for t in STEPS))

    amount = tiers.graduated_changes(flat_free, [(c, c) for c in changes])

    assert amount == tiers.graduated(flat_free, sum(changes))


@pytest.mark.parametrize(
    ("cost", "true_up", "expected"),
    [("4", True, "10"), ("4", False, "4"), ("10", True, "10"), ("13", True, "16")],
)
def test_commitment_line_not_double(cost: str, true_up: bool, expected: str) -> None:
    """Use covered by a commitment is not billed beside it; use beyond it at the overage factor."""
    found = tiers.committed(Decimal(cost), 10, overage=2, true_up=true_up)

    assert Fraction(expected) == found


@pytest.mark.parametrize(
    ("units", "up", "down"), [("0", 0, 0), ("1", 1, 0), ("10", 1, 1), ("11", 2, 1)]
)
def test_started_blocks_count_or_do_not(units: str, up: int, down: int) -> None:
    """Blocks of ten."""
    assert up == tiers.blocks(Decimal(units), 10)
    assert down == tiers.blocks(Decimal(units), 10, started=False)


@given(before=UNITS, amount=UNITS, most=UNITS)
def test_a_period_never_passes_its_maximum(before: Decimal, amount: Decimal, most: Decimal) -> None:
    """What was billed before counts, even where it was too much already."""
    billed = tiers.within_maximum(before, amount, most)

    assert 0 <= billed <= amount
    assert billed == 0 or Fraction(before) + billed <= most


@given(billed=UNITS, least=UNITS)
def test_a_top_up_reaches_the_minimum_exactly(billed: Decimal, least: Decimal) -> None:
    """What was billed and its top-up are the minimum, or more without any."""
    assert max(billed, least) == Fraction(billed) + tiers.top_up(billed, least)
