"""Additions: scenario 1 to the cent, and the rules C2 to C6, C10, C11."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa_connector.domain.additions import (
    AdditionRules,
    OpenAddition,
    TaxBy,
    ZeroLines,
    draft_additions,
    quantity_and_price,
)
from psa_connector.domain.drafts import Draft
from psa_connector.domain.mapping import Reason
from psa_connector.domain.operations import Addition, AdditionClose, Product
from psa_connector.domain.push_keys import KeyKind
from shared.contracts.invoicing import InvoiceFinalised
from support.psa_facts import ANNUAL, MONTHLY, alder_may, day, invoice, line, recurring

MAPPED = {ANNUAL: "501", MONTHLY: "502", "onboarding": "503"}


def drafts(fact: InvoiceFinalised, **changes: Any) -> list[Draft]:
    wanted: dict[str, Any] = {"mapped": MAPPED, "still_open": (), "rules": AdditionRules()}
    return draft_additions(fact, **wanted | changes)


def additions(fact: InvoiceFinalised, **changes: Any) -> list[Addition]:
    return [d.operation for d in drafts(fact, **changes) if isinstance(d.operation, Addition)]


def test_scenario_1_becomes_exactly_five_additions_c11() -> None:
    """Product, quantity, price and recurrence as the story lists them; their sum is the net."""
    planned = additions(alder_may())

    assert [
        (a.product.external_id, a.quantity, a.unit_price, a.last_on is None) for a in planned
    ] == [
        ("501", Decimal(43), Decimal("22.55"), True),
        ("502", Decimal(6), Decimal("27.06"), True),
        ("501", Decimal(1), Decimal("63.89"), False),
        ("501", Decimal(1), Decimal("-19.54"), False),
        ("503", Decimal(1), Decimal("150.00"), False),
    ]
    assert sum(a.extended for a in planned) == Decimal("1326.36")


def test_all_lines_lie_in_the_invoices_psa_period_c4() -> None:
    """One-cycle lines have a first and a last day, recurring lines only a first."""
    planned = additions(alder_may())

    assert {a.effective_on for a in planned} == {day("2026-05-01")}
    assert [a.last_on for a in planned] == [None, None, *[day("2026-05-31")] * 3]


def test_a_line_of_another_anchor_stays_in_one_psa_month_c4() -> None:
    """A cycle from the 12th to the 12th would lie in two periods of the agreement."""
    fact = invoice("I-1", "2026-06-12", line(1, "10.00", service=("2026-06-12", "2026-07-12")))

    planned = additions(fact)

    assert [(a.effective_on, a.last_on) for a in planned] == [
        (day("2026-06-01"), day("2026-06-30"))
    ]


def test_every_owned_field_has_a_value_c2() -> None:
    """Unit cost and tax flag come from the line, never from the PSA's catalog."""
    first, *_, last = additions(alder_may())

    assert first == Addition(
        product=Product(ANNUAL, "501"),
        quantity=Decimal(43),
        unit_price=Decimal("22.55"),
        unit_cost=Decimal("18.0400"),
        effective_on=day("2026-05-01"),
        last_on=None,
        taxable=True,
        charged=True,
        description=first.description,
    )
    assert last.taxable is False


@pytest.mark.parametrize(
    ("quantity", "unit_price", "net", "expected"),
    [
        ("43", "22.55", "969.65", ("43", "22.55")),
        ("3", "0.3333", "1.00", ("1", "1.00")),  # 0.9999 is not the line
        ("3", "1.00005", "3.00", ("1", "3.00")),  # more than four decimals
        ("-2", "10.00", "-20.00", ("1", "-20.00")),  # a credit, never a negative quantity
        ("2", None, "20.00", ("1", "20.00")),
        ("0.5", "20.00", "10.00", ("0.5", "20.00")),
    ],
)
def test_the_psa_multiplies_only_what_gives_the_net_c3(
    quantity: str, unit_price: str | None, net: str, expected: tuple[str, str]
) -> None:
    """Quantity × unit price is the net to the last digit, or quantity is one."""
    price = None if unit_price is None else Decimal(unit_price)
    one = line(1, net, recurring=True, quantity=Decimal(quantity), unit_price=price)

    assert quantity_and_price(one) == tuple(map(Decimal, expected))


@given(
    st.decimals("-500", "5000", places=3),
    st.none() | st.decimals("0", "9999", places=5),
    st.decimals("-99999", "99999", places=2),
    st.booleans(),
)
def test_extended_price_is_always_the_net_c11(
    quantity: Decimal, price: Decimal | None, net: Decimal, recurs: bool
) -> None:
    """Whatever a line says, the PSA arrives at our figure."""
    one = line(1, f"{net:f}", recurring=recurs, quantity=quantity, unit_price=price)

    shown_quantity, shown_price = quantity_and_price(one)

    assert net == shown_quantity * shown_price
    assert shown_quantity > 0


def test_the_description_tells_where_the_line_comes_from_c5() -> None:
    """Product, period, factors, invoice and line; no key."""
    proration = additions(alder_may())[2]

    assert proration.description.split("\n") == [
        "Business Premium",
        "Business Premium +5, 2026-04-14 to 2026-05-01, 17/30 days",
        "Service period 2026-04-14 to 2026-04-30",
        "5 × 22.55 USD",
        "Invoice ALD-0002, line 3",
    ]


def test_terms_are_different_products_c6() -> None:
    """The annual and the monthly commitment of one offer never share a catalog item."""
    annual, monthly, *_ = additions(alder_may())

    assert annual.product.external_id != monthly.product.external_id


def test_a_zero_line_is_shown_without_charge_c3() -> None:
    """The customer sees it; nothing is billed."""
    (shown,) = additions(invoice("I-1", "2026-05-01", line(1, "0.00")))

    assert (shown.charged, shown.extended) == (False, Decimal(0))


def test_a_zero_line_can_be_skipped_c3() -> None:
    """By the connection's setting."""
    rules = AdditionRules(zero_lines=ZeroLines.SKIP)

    assert additions(invoice("I-1", "2026-05-01", line(1, "0.00")), rules=rules) == []


def test_an_unmapped_product_blocks_its_line_g5() -> None:
    """The line is planned, so that people see it, and goes nowhere."""
    planned = drafts(alder_may(), mapped=MAPPED | {"onboarding": "503"} | {})
    blocked = drafts(alder_may(), mapped={ANNUAL: "501", MONTHLY: "502"})

    assert [d.block for d in planned] == [None] * 5
    assert [d.block.reason if d.block else None for d in blocked] == [
        None, None, None, None, Reason.UNMAPPED_PRODUCT,
    ]  # fmt: skip


def test_with_our_tax_nothing_is_taxable_and_tax_is_a_line_c10() -> None:
    """`engine`: one addition per tax total on the product mapped for it."""
    rules = AdditionRules(tax_by=TaxBy.ENGINE)
    mapped = MAPPED | {"tax:NY sales tax": "900"}

    planned = additions(alder_may(), rules=rules, mapped=mapped)

    assert not any(a.taxable for a in planned)
    assert (planned[-1].product.external_id, planned[-1].extended) == ("900", Decimal("104.41"))
    assert sum(a.extended for a in planned) == alder_may().total


def test_a_cost_in_another_currency_is_not_passed_off_as_ours_g1() -> None:
    """Nothing is converted here; the margin shown is not worth a wrong figure."""
    (planned,) = additions(
        invoice("I-1", "2026-05-01", line(1, "10.00", cost=Decimal(8), cost_currency="EUR"))
    )

    assert planned.unit_cost == 0


APRIL = OpenAddition("intent-april", "ALD-0001/1", "sub-A", day("2026-04-01"))


def test_the_next_period_closes_the_open_addition_first_c11() -> None:
    """Last day = day before the new effective date; one operation of its own, before all lines."""
    first, *rest = drafts(alder_may(), still_open=[APRIL])

    assert first.operation == AdditionClose("intent-april", day("2026-04-30"))
    assert (first.key_kind, first.source_id) == (KeyKind.INVOICE_LINE_CLOSE, "ALD-0001/1")
    assert len(rest) == 5


def test_a_subscription_that_ended_is_closed_too_c11() -> None:
    """No successor: otherwise the PSA would bill it for ever."""
    gone = replace(APRIL, subscription_id="sub-gone", source_id="ALD-0001/9")
    fact = invoice("ALD-0002", "2026-05-01", recurring(1, 43, "22.55"))

    kinds = [type(d.operation) for d in drafts(fact, still_open=[APRIL, gone])]

    assert kinds == [AdditionClose, AdditionClose, Addition]


def test_another_invoice_of_the_same_period_closes_nothing_c11() -> None:
    """A one-time invoice in May leaves May's recurring additions alone."""
    may = replace(APRIL, effective_on=day("2026-05-01"))
    fact = invoice("ALD-0003", "2026-05-20", line(1, "99.00"))

    assert [type(d.operation) for d in drafts(fact, still_open=[may])] == [Addition]
