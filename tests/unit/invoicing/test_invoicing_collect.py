"""Which lines an invoice has: the stories to the cent, and the difference to what was billed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.catch_up import Billed
from invoicing.domain.collect import (
    ChargeState,
    ControlTotal,
    OneTimeItem,
    collect,
    net_of,
    require_complete,
)
from shared.contracts.invoicing import InvoiceLine
from shared.contracts.rating import ChargeKind, ChargeProduct, ChargeRated
from shared.kernel.errors import Held, Invalid
from support.billing_facts import (
    charge,
    day,
    fixed,
    period,
    revised,
    seats,
    seats_changed,
    usage,
)

# Expected figures of the stories, as their authors wrote them.
S1 = json.loads(
    '{"lines": [{"id": "L1", "net": "969.65"}, {"id": "L2", "net": "162.36"},'
    ' {"id": "L3", "net": "63.89"}, {"id": "L4", "net": "-19.54"},'
    ' {"id": "L5", "net": "150.00"}], "net": "1326.36"}'
)
S2 = json.loads(
    '{"lines": [{"id": "L1", "net": "53.18"}, {"id": "L2", "net": "30.38"},'
    ' {"id": "L3", "net": "7.60"}, {"id": "L4", "net": "58.94"}, {"id": "L5", "net": "4.50"},'
    ' {"id": "L6", "net": "3.11"}, {"id": "L7", "net": "17.39"}, {"id": "L8", "net": "67.04"}],'
    ' "net": "242.14"}'
)
MAY = ("2026-05-01", "2026-06-01")
APRIL = ("2026-04-01", "2026-05-01")


def onboarding(**changes: Any) -> OneTimeItem:
    facts: dict[str, Any] = {
        "item_id": "o1",
        "product_key": "onboarding",
        "name": "Onboarding",
        "tax_category": "service",
        "quantity": Decimal(1),
        "unit_price": Decimal("150.00"),
        "on": day("2026-04-22"),
        "cost": Decimal(0),
        "cost_currency": "USD",
    }
    return OneTimeItem(**facts | changes)


def alder_charges() -> list[ChargeRated]:
    """What rating makes of scenario 1; e3 and e4 were refused and cause nothing."""
    return [
        seats("A", quantity=43, unit_price="22.55", service=MAY),
        seats("B", quantity=6, unit_price="27.06", service=MAY, term="P1M"),
        seats_changed("e1", added=5, unit_price="22.55", effective="2026-04-14", cycle=APRIL),
        seats_changed("e2", added=-2, unit_price="22.55", effective="2026-04-18", cycle=APRIL),
    ]


def birch_charges() -> list[ChargeRated]:
    """What rating makes of the April usage of scenario 2."""
    figures = [
        ("AZ-1", "Virtual Machines", "53.17968"),
        ("AZ-1", "Storage", "30.381835"),
        ("AZ-1", "Bandwidth", "7.604127"),
        ("AZ-1", "SQL Database", "58.936121"),
        ("AZ-2", "Virtual Machines", "4.500013"),
        ("AZ-2", "Storage", "3.110285"),
    ]
    lines = [
        usage(f"{azure} {category}", exact, azure=azure, category=category)
        for azure, category, exact in figures
    ]
    top_up = usage("AZ-2 minimum", "17.39", azure="AZ-2", category="Minimum commitment")
    reservation = usage("r1", "67.0432", azure="", category="Reservation")
    return [
        *lines,
        top_up.model_copy(update={"kind": ChargeKind.MINIMUM}),
        reservation.model_copy(
            update={
                "kind": ChargeKind.PURCHASE,
                "subscription_id": None,
                "price": fixed("67.0432"),
            }
        ),
    ]


def invoice(
    charges: Sequence[ChargeRated],
    items: Sequence[OneTimeItem] = (),
    *,
    on: str = "2026-05-01",
    currency: str = "USD",
) -> tuple[InvoiceLine, ...]:
    states = [ChargeState(one) for one in charges]
    return collect(states, items, invoice_date=day(on), currency=currency)


def billed(before: ChargeRated, line: str = "HUS-000001/1") -> Billed:
    return Billed(before, before.amount, line)


def correction(after: ChargeRated, before: ChargeRated) -> InvoiceLine:
    [line] = collect(
        [ChargeState(after, billed(before))],
        [],
        invoice_date=day("2026-06-01"),
        currency=after.currency,
    )
    return line


def nets(lines: Sequence[InvoiceLine]) -> list[str]:
    return [f"{line.net:f}" for line in lines]


def test_scenario_1_lines_in_order_and_to_the_cent() -> None:
    """Two commitments, two prorations, one one-time item: L1 to L5."""
    lines = invoice(alder_charges(), [onboarding()])

    assert [expected["net"] for expected in S1["lines"]] == nets(lines)
    assert Decimal(S1["net"]) == net_of(lines)
    assert [line.number for line in lines] == [1, 2, 3, 4, 5]
    assert [line.recurring for line in lines] == [True, True, False, False, False]
    assert [line.quantity for line in lines] == [43, 6, 5, -2, 1]


def test_scenario_1_prorations_say_their_days_and_keep_the_exact_amount() -> None:
    """L3 is 17 of 30 days, 63.8916…"""
    third = invoice(alder_charges())[2]

    assert f"{PREMIUM_PLUS_5}, 17/30 days (days/v1)" == third.description
    assert Decimal("63.891666666666666667") == third.net_exact
    assert third.unit_price is None


PREMIUM_PLUS_5 = "Business Premium +5, 2026-04-14 to 2026-05-01"


def test_days_that_the_description_already_says_are_not_repeated() -> None:
    """Rating may phrase it itself."""
    told = seats_changed(
        "e1",
        added=5,
        unit_price="22.55",
        effective="2026-04-14",
        cycle=APRIL,
        description="+5 seats for 17/30 of April",
    )

    assert invoice([told])[0].description == "+5 seats for 17/30 of April"


def test_scenario_2_lines_in_order_and_to_the_cent() -> None:
    """Usage by subscription and category, then the top-up, then the reservation: L1 to L8."""
    lines = invoice(birch_charges(), on="2026-05-15", currency="EUR")

    assert [expected["net"] for expected in S2["lines"]] == nets(lines)
    assert Decimal(S2["net"]) == net_of(lines)
    assert Decimal("67.0432") == lines[7].unit_price


def test_usage_order_knows_categories_by_rating_s_product_names() -> None:
    """ "Azure Virtual Machines" is the category; "Azure Backup Storage" is another one."""
    names = ["Azure Backup Storage", "Azure Storage", "Azure Virtual Machines"]
    charges = [usage(name, "1", azure="AZ-1", category=name) for name in names]

    lines = invoice(charges, on="2026-05-15", currency="EUR")

    assert [line.product_name for line in lines] == [
        "Azure Virtual Machines",
        "Azure Storage",
        "Azure Backup Storage",
    ]


def test_scenario_2_late_usage_is_a_line_of_the_next_invoice_that_points_at_april() -> None:
    """The April invoice is closed; 3.44 on 15 June supplements its line 1."""
    april = birch_charges()
    late = usage(
        "late",
        "3.437456",
        azure="AZ-1",
        category="Virtual Machines",
        bill_on=day("2026-06-15"),
        corrects="AZ-1 Virtual Machines",
        source_ids=("u9", "u10"),
    )
    states = [
        ChargeState(before, billed(before, f"HEU-000001/{number}"))
        for number, before in enumerate(april, start=1)
    ]

    lines = collect(
        [*states, ChargeState(late, supplements="HEU-000001/1")],
        [],
        invoice_date=day("2026-06-15"),
        currency="EUR",
    )

    assert nets(lines) == ["3.44"]
    assert lines[0].corrects == "HEU-000001/1"
    assert lines[0].service_period == period(*APRIL)


@given(st.integers())
def test_lines_do_not_depend_on_the_order_of_arrival(seed: int) -> None:
    """Delivering the facts in any order gives the same numbered lines."""
    charges = [*alder_charges(), seats("C", quantity=1, unit_price="9", service=MAY)]
    shuffled = random.Random(seed).sample(charges, len(charges))

    assert invoice(charges, [onboarding()]) == invoice(shuffled, [onboarding()])


def test_two_changes_on_one_day_stay_two_lines() -> None:
    """Same subscription, same day, two sources (C4)."""
    same_day: dict[str, Any] = {"unit_price": "22.55", "effective": "2026-04-14", "cycle": APRIL}
    changes = [
        seats_changed("one", added=20, **same_day),
        seats_changed("two", added=35, **same_day),
    ]

    assert {"one", "two"} == {line.charge_id for line in invoice(changes)}


def test_what_is_due_later_waits() -> None:
    """A charge or item after the invoice date is on no line yet."""
    later = seats("A", quantity=43, unit_price="22.55", service=("2026-06-01", "2026-07-01"))

    assert invoice([later], [onboarding(on=day("2026-05-02"))]) == ()


def test_a_worthless_charge_has_no_line() -> None:
    """A change that was undone before it was billed is rated zero and vanishes."""
    assert invoice([charge("undone", "0")]) == ()


def test_a_charge_billed_in_full_has_no_line() -> None:
    """The second invoice holds only what is new."""
    charges = alder_charges()
    states = [ChargeState(one, billed(one)) for one in charges]

    lines = collect(states, [], invoice_date=day("2026-06-01"), currency="USD")

    assert lines == ()


def test_late_change_after_the_invoice_gives_proration_and_one_full_cycle_line() -> None:
    """C14: one seat more from 20 April, learned after 1 May was billed with 43 for all of May."""
    may = seats("A", quantity=43, unit_price="22.55", service=MAY)
    late = seats_changed("e5", added=1, unit_price="22.55", effective="2026-04-20", cycle=APRIL)
    june = seats("A-june", quantity=44, unit_price="22.55", service=("2026-06-01", "2026-07-01"))
    states = [
        ChargeState(june),
        ChargeState(late),
        ChargeState(revised(may, quantity=44), billed(may, "HUS-000001/1")),
    ]

    lines = collect(states, [], invoice_date=day("2026-06-01"), currency="USD")

    assert nets(lines) == ["992.20", "22.55", "8.27"]  # 44 × 22.55; 1 × 22.55; × 11/30
    full_cycle = lines[1]
    assert full_cycle.corrects == "HUS-000001/1"
    assert (Decimal(1), Decimal("22.55")) == (full_cycle.quantity, full_cycle.unit_price)
    assert not full_cycle.recurring
    assert full_cycle.service_period == period(*MAY)
    assert full_cycle.charge_revision == 2
    assert "Correction of HUS-000001/1" in full_cycle.description
    assert "quantity 43 → 44" in full_cycle.description
    assert lines[2].corrects is None  # the proration was never billed: it corrects nothing


def test_a_late_reduction_is_a_credit_line() -> None:
    """Fewer seats than billed: negative quantity at the price that was billed."""
    before = seats("A", quantity=43, unit_price="22.55", service=MAY)

    line = correction(revised(before, quantity=40), before)

    assert (Decimal(-3), Decimal("22.55"), Decimal("-67.65")) == (
        line.quantity,
        line.unit_price,
        line.net,
    )


def test_a_changed_price_corrects_all_units_by_the_step() -> None:
    """The quantity holds, so the unit price of the line is the difference of prices."""
    before = seats("A", quantity=43, unit_price="22.55", service=MAY)

    line = correction(revised(before, price=fixed("21.55")), before)

    assert (Decimal(43), Decimal("-1.00"), Decimal("-43.00")) == (
        line.quantity,
        line.unit_price,
        line.net,
    )
    assert "unit price 22.55 → 21.55" in line.description


def test_a_changed_quantity_and_price_is_one_amount() -> None:
    """Neither difference alone explains it: one times the net."""
    before = seats("A", quantity=43, unit_price="22.55", service=MAY)

    line = correction(revised(before, quantity=44, price=fixed("21.55")), before)

    expected = Decimal("948.20") - Decimal("969.65")
    assert (Decimal(1), expected, expected) == (line.quantity, line.unit_price, line.net)


def test_a_change_of_the_amount_alone_is_said_as_amounts() -> None:
    """A rounding or price fix on a proration: no quantity, no unit price to print."""
    before = seats_changed("e1", added=5, unit_price="22.55", effective="2026-04-14", cycle=APRIL)

    line = correction(revised(before, amount=Decimal("60.00")), before)

    assert (Decimal(1), None, Decimal("-3.89")) == (line.quantity, line.unit_price, line.net)
    assert "amount 63.89 → 60.00" in line.description


def test_corrections_follow_the_plain_recurring_lines() -> None:
    """What is due now is read before what is corrected."""
    may = seats("A", quantity=43, unit_price="22.55", service=MAY)
    june = seats("Z", quantity=1, unit_price="30", service=("2026-06-01", "2026-07-01"))
    states = [ChargeState(revised(may, quantity=44), billed(may)), ChargeState(june)]

    lines = collect(states, [], invoice_date=day("2026-06-01"), currency="USD")

    assert [line.charge_id for line in lines] == ["Z", "A"]


def test_discount_once_after_rerate() -> None:
    """A discount line rated five times over, always the same amount, is billed once."""
    discount = charge("P10", "-76.00")
    rerated = discount
    for _ in range(5):
        rerated = revised(rerated)

    first = invoice([discount])
    again = collect(
        [ChargeState(rerated, billed(discount))],
        [],
        invoice_date=day("2026-06-01"),
        currency="USD",
    )

    assert nets(first) == ["-76.00"]
    assert again == ()


quantities = st.lists(st.integers(0, 500), min_size=1, max_size=8)


@given(quantities=quantities, cents=st.integers(0, 100_000))
def test_credit_never_exceeds_paid(quantities: list[int], cents: int) -> None:
    """Any series of up- and downgrades down to a cancellation: what was billed of a charge is its
    latest amount, so credits never exceed what was billed before."""
    price = f"{Decimal(cents).scaleb(-2):f}"
    current = seats("A", quantity=quantities[0], unit_price=price, service=MAY)
    state, sum_billed = ChargeState(current), Decimal(0)
    for quantity in (*quantities, 0):
        current = revised(current, quantity=Decimal(quantity))
        state = ChargeState(current, state.billed)

        lines = collect([state], [], invoice_date=day("2026-06-01"), currency="USD")

        sum_billed += net_of(lines)
        assert sum_billed == current.amount
        assert sum_billed >= 0
        if lines or state.billed:
            state = ChargeState(current, Billed(current, sum_billed, "HUS-000001/1"))


@given(
    revisions=st.lists(st.decimals("-1e6", "1e6", places=2), min_size=1, max_size=8),
    skips=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_lines_of_a_charge_always_sum_to_its_latest_billed_amount(
    revisions: list[Decimal], skips: list[bool]
) -> None:
    """Whichever revisions an invoice happened to see."""
    sum_billed, before = Decimal(0), None
    for number, (amount, skip) in enumerate(zip(revisions, skips, strict=False), start=1):
        current = charge("x", f"{amount:f}", revision=number)
        if skip:
            continue
        lines = collect(
            [ChargeState(current, before)], [], invoice_date=day("2026-06-01"), currency="USD"
        )
        sum_billed += net_of(lines)
        assert sum_billed == amount
        if lines:
            before = Billed(current, sum_billed, "HUS-000001/1")


@pytest.mark.parametrize(
    ("currency", "amount", "fine"),
    [
        ("JPY", "5638", True),
        ("JPY", "5637.5", False),
        ("CLP", "990", True),
        ("CLP", "990.1", False),
        ("KWD", "1.125", True),
        ("KWD", "1.1255", False),
        ("USD", "0.01", True),
        ("USD", "0.001", False),
    ],
)
def test_zero_decimal_and_three_decimal(currency: str, amount: str, fine: bool) -> None:
    """A charge with fractions of its currency's minor unit is refused, never rounded here."""
    one = charge("x", amount, currency=currency)

    if fine:
        assert [Decimal(amount)] == [line.net for line in invoice([one], currency=currency)]
    else:
        with pytest.raises(Invalid, match="amount_not_rounded"):
            invoice([one], currency=currency)


def test_the_yen_proration_of_scenario_4_keeps_the_yen() -> None:
    """J2 of scenario 4: 5,637.5 is a tie and becomes 5,638."""
    tokyo = seats_changed(
        "e2",
        added=3,
        unit_price="5125",
        effective="2026-09-20",
        cycle=("2026-09-01", "2026-10-01"),
        currency="JPY",
    )

    lines = invoice([tokyo], on="2026-10-01", currency="JPY")

    assert nets(lines) == ["5638"]
    assert Decimal("5637.5") == lines[0].net_exact


def test_a_one_time_item_is_rounded_once() -> None:
    """1.5 hours at 33.33: 49.995 becomes 50.00."""
    [line] = invoice([], [onboarding(quantity=Decimal("1.5"), unit_price=Decimal("33.33"))])

    assert (Decimal("50.00"), Decimal("49.995")) == (line.net, line.net_exact)
    assert (Decimal("1.5"), Decimal("33.33")) == (line.quantity, line.unit_price)
    assert line.service_period == period("2026-04-22", "2026-04-23")


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (charge("x", "1", currency="EUR"), "currency_mismatch"),
        (charge("x", "1e15"), "amount_out_of_bounds"),
        (charge("x", "-1e70"), "amount_out_of_bounds"),
        (charge("x", "1", cost=Decimal("1e15")), "amount_out_of_bounds"),
    ],
)
def test_a_charge_no_invoice_may_carry_is_refused_by_name(one: ChargeRated, code: str) -> None:
    """The run is held with the code; there is no way to a wrong line."""
    with pytest.raises(Invalid, match=code):
        invoice([one])


def test_costs_in_two_currencies_have_no_difference() -> None:
    """A correction cannot say what changed in cost, so it waits for a person."""
    before = charge("x", "10")

    with pytest.raises(Held, match="cost_currency_changed"):
        correction(revised(before, amount=Decimal(11), cost_currency="EUR"), before)


def test_costs_are_corrected_with_the_amount() -> None:
    """The margin of the sum of lines is the margin of the charge."""
    before = charge("x", "10", cost=Decimal("8.10"))

    line = correction(revised(before, amount=Decimal(12), cost=Decimal("9.60")), before)

    assert (Decimal(2), Decimal("1.50")) == (line.net, line.cost)


def test_a_unit_price_that_does_not_multiply_out_is_not_printed() -> None:
    """Quantity × unit price must be the line, or the customer would compute something else."""
    odd = seats("A", quantity=3, unit_price="10", service=MAY, amount=Decimal("29.00"))

    assert invoice([odd])[0].unit_price is None


def test_the_longer_commitment_is_read_first() -> None:
    """Three years before one year before monthly, whatever the subscriptions are called."""
    charges = [
        seats(term, quantity=1, unit_price="1", service=MAY, term=term)
        for term in ("P1M", "P3Y", "P1Y")
    ]

    assert [line.charge_id for line in invoice(charges)] == ["P3Y", "P1Y", "P1M"]


def test_a_product_without_a_term_is_placed_too() -> None:
    """Bundles and services have no commitment."""
    plain = ChargeProduct(key="helpdesk", name="Helpdesk", tax_category="service")

    lines = invoice([seats("H", quantity=1, unit_price="14", service=MAY, product=plain)])

    assert [line.charge_id for line in lines] == ["H"]


def test_control_totals_that_agree_let_the_draft_begin() -> None:
    """Same count, same sum; trailing zeros are no difference."""
    require_complete(ControlTotal(2, Decimal("10.00")), ControlTotal(2, Decimal(10)))


@pytest.mark.parametrize("found", [ControlTotal(1, Decimal(10)), ControlTotal(2, Decimal(9))])
def test_control_totals_that_differ_hold_with_both_figures(found: ControlTotal) -> None:
    """A person sees what is missing: charges or money."""
    with pytest.raises(Held, match="charges_incomplete") as held:
        require_complete(ControlTotal(2, Decimal("10.00")), found)

    assert f"rating counts 2 charges that sum to 10.00; here are {found.charges}" in str(held.value)
