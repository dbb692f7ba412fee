"""A draft and its tax become one document whose figures tie, or the answer is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.collect import ChargeState, collect, net_of
from invoicing.domain.totals import merge
from shared.contracts.invoicing import InvoiceDrafted, InvoiceLine, TaxMode, TaxTotal
from shared.contracts.tax import TaxDetermined
from shared.kernel.errors import Invalid
from shared.kernel.money import exponent
from support.billing_facts import charge, day, tax_of

NEW_YORK = {"licence": "0.08875", "service": "0"}


def draft(
    amounts: list[tuple[str, str]], mode: TaxMode = TaxMode.PER_LINE, currency: str = "USD"
) -> InvoiceDrafted:
    """A draft of lines `(net, tax category)`, in this order."""
    lines = tuple(_line(number, *one, currency) for number, one in enumerate(amounts, start=1))
    return InvoiceDrafted(
        invoice_id="inv-1",
        revision=1,
        account_id="alder",
        contract_id="ALD-1",
        selling_entity_id="harbor-us",
        seller_country="US",
        tax_jurisdiction="US-NY",
        tax_mode=mode,
        currency=currency,
        invoice_date=day("2026-05-01"),
        lines=lines,
        net=net_of(lines),
    )


def _line(number: int, net: str, category: str, currency: str) -> InvoiceLine:
    one = charge(f"c{number}", net, currency=currency)
    product = one.product.model_copy(update={"tax_category": category})
    state = ChargeState(one.model_copy(update={"product": product}))
    [line] = collect([state], [], invoice_date=day("2026-05-01"), currency=currency)
    return line.model_copy(update={"number": number})


ALDER = [
    ("969.65", "licence"),
    ("162.36", "licence"),
    ("63.89", "licence"),
    ("-19.54", "licence"),
    ("150.00", "service"),
]


def test_scenario_1_tax_per_line() -> None:
    """8.875 % on each rounded licence line, services untaxed: 1,430.77 in total."""
    alder = draft(ALDER)

    taxed = merge(alder, tax_of(alder, NEW_YORK))

    expected = ["86.06", "14.41", "5.67", "-1.73", "0.00"]
    assert expected == [f"{line.tax:f}" for line in taxed.lines]
    assert (Decimal("1326.36"), Decimal("104.41"), Decimal("1430.77")) == (
        taxed.net,
        taxed.tax,
        taxed.total,
    )


def test_scenario_2_tax_per_group() -> None:
    """One amount per rate on the sum: 21 % of 242.14 is 50.85, and no line has a tax of its own."""
    nets = ["53.18", "30.38", "7.60", "58.94", "4.50", "3.11", "17.39", "67.04"]
    birch = draft([(net, "usage") for net in nets], TaxMode.PER_GROUP, "EUR")

    taxed = merge(birch, tax_of(birch, {"usage": "0.21"}))

    assert {None} == {line.tax for line in taxed.lines}
    assert {Decimal("0.21")} == {line.tax_rate for line in taxed.lines}
    assert (Decimal("242.14"), Decimal("50.85"), Decimal("292.99")) == (
        taxed.net,
        taxed.tax,
        taxed.total,
    )


@pytest.mark.parametrize(
    ("currency", "nets", "rate", "total"),
    [
        ("JPY", ["107625", "5638"], "0.10", "124589"),  # scenario 4
        ("KWD", ["1.125", "0.001"], "0.05", "1.182"),
        ("CLP", ["990", "11"], "0.19", "1191"),
    ],
)
def test_totals_keep_the_currency_s_own_minor_unit(
    currency: str, nets: list[str], rate: str, total: str
) -> None:
    """No fractions of the minor unit, and the totals add up."""
    one = draft([(net, "licence") for net in nets], TaxMode.PER_GROUP, currency)

    taxed = merge(one, tax_of(one, {"licence": rate}))

    assert Decimal(total) == taxed.total
    assert -exponent(currency) <= int(taxed.tax.as_tuple().exponent)


def test_a_group_of_rate_zero_may_be_left_out() -> None:
    """Whether untaxed lines are listed is the tax service's choice."""
    alder = draft(ALDER)
    answer = tax_of(alder, NEW_YORK)
    without = answer.model_copy(
        update={"taxes": tuple(group for group in answer.taxes if group.rate)}
    )

    assert merge(alder, without).tax == Decimal("104.41")


def _tampered(answer: TaxDetermined, what: str) -> TaxDetermined:
    first, *rest = answer.lines
    group, *groups = answer.taxes
    changes: dict[str, dict[str, Any]] = {
        "currency": {"currency": "EUR"},
        "mode": {"mode": TaxMode.PER_GROUP},
        "line missing": {"lines": tuple(rest)},
        "line twice": {"lines": (first, *answer.lines)},
        "total": {"tax": answer.tax + 1},
        "line tax": {"lines": (first.model_copy(update={"tax": Decimal("86.07")}), *rest)},
        "line without tax": {"lines": (first.model_copy(update={"tax": None}), *rest)},
        "fractions": {"lines": (first.model_copy(update={"tax": Decimal("86.056")}), *rest)},
        "taxable": {"taxes": (group.model_copy(update={"taxable": Decimal(1)}), *groups)},
        "group of nothing": {
            "taxes": (
                *answer.taxes,
                TaxTotal(name="?", rate=Decimal("0.5"), taxable=Decimal(2), tax=Decimal(1)),
            ),
            "tax": answer.tax + 1,
        },
    }
    return answer.model_copy(update=changes[what])


@pytest.mark.parametrize(
    "what",
    [
        "currency",
        "mode",
        "line missing",
        "line twice",
        "total",
        "line tax",
        "line without tax",
        "fractions",
        "taxable",
        "group of nothing",
    ],
)
def test_an_answer_that_does_not_tie_is_refused(what: str) -> None:
    """Whatever part disagrees, the code is one and the detail names the figures."""
    alder = draft(ALDER)

    with pytest.raises(Invalid, match="tax_does_not_tie"):
        merge(alder, _tampered(tax_of(alder, NEW_YORK), what))


def test_a_draft_whose_lines_are_not_its_net_is_refused() -> None:
    """The last check before money is fixed is against ourselves."""
    alder = draft(ALDER)
    wrong = alder.model_copy(update={"net": alder.net + 1})

    with pytest.raises(Invalid, match="the draft says"):
        merge(wrong, tax_of(alder, NEW_YORK))


cents = st.integers(-10_000_000, 10_000_000).map(lambda units: f"{Decimal(units).scaleb(-2):f}")
categories = st.sampled_from(["licence", "usage", "service"])


@given(
    amounts=st.lists(st.tuples(cents.filter(lambda c: Decimal(c) != 0), categories), min_size=1),
    mode=st.sampled_from(list(TaxMode)),
)
def test_credit_notes_sum_to_invoice(amounts: list[tuple[str, str]], mode: TaxMode) -> None:
    """Crediting every line on one note takes back net, tax and total exactly: half away from zero
    is symmetric, line by line and group by group."""
    rates = {"licence": "0.08875", "usage": "0.21", "service": "0"}
    issued = draft(amounts, mode)
    credited = draft([(f"{-Decimal(net):f}", category) for net, category in amounts], mode)

    invoice = merge(issued, tax_of(issued, rates))
    note = merge(credited, tax_of(credited, rates))

    assert (-invoice.net, -invoice.tax, -invoice.total) == (note.net, note.tax, note.total)
