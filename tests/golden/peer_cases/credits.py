"""Credits: a share of what was billed, up to what was paid."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction

from golden.peer_cases.rows import Adapter, Row, cents, closed, days, span
from rating.domain import reductions
from rating.domain.proration import Span
from shared.kernel.money import Money

USD = "USD"


def credit_cap(row: Row) -> dict[str, object]:
    wanted, paid, given = (
        Money(row.number(name), USD)
        for name in ("potential_credit", "amount_paid", "credits_already_given")
    )
    return {"credit": reductions.credit(wanted, paid=paid, given=given).amount}


def _part_of_billed(row: Row, part: Span) -> Decimal:
    whole = span(row.inputs["billed_interval"])
    return closed(Fraction(row.number("billed_amount")) * row.share(part, whole).share)


def credit_for_unbilled_span(row: Row) -> dict[str, object]:
    """One credit a span, in the order of time, until the bound is reached."""
    billed = row.number("billed_amount")
    most = Money(Decimal(str(row.inputs.get("max_creditable", billed))), USD)
    given, found = Money.zero(USD), []
    for start, end in sorted(row.inputs["spans_no_longer_billable"]):
        part = Span(date.fromisoformat(start), date.fromisoformat(end))
        wanted = Money(_part_of_billed(row, part), USD)
        credit = reductions.credit(wanted, paid=most, given=given)
        given += credit
        found.append([start, end, -credit.amount])
    return {"credits": found}


def net_billed_after_credits(row: Row) -> dict[str, object]:
    pieces = [span(pair) for pair in row.inputs["still_billable"]]
    return {"net_amounts": [_part_of_billed(row, piece) for piece in pieces]}


def credit_note_unused_advance_cents(row: Row) -> dict[str, object]:
    """Credit and its tax are both rounded from the exact credit."""
    share = row.share(days(row.inputs["unused_days"]), days(row.inputs["period_days"])).share
    exact = row.inputs["plan_price_cents"] * share
    credit, tax = cents(exact), cents(exact * Fraction(row.number("tax_percent")) / 100)
    return {"credit_ex_tax": credit, "tax": tax, "total": credit + tax}


def net_lines_of_one_component_cents(row: Row) -> dict[str, object]:
    net = sum(row.inputs["lines_cents"])
    return {"net_cents": net, "lines": int(net != 0)}


ADAPTERS: Mapping[str, Adapter] = {
    "credit_cap": credit_cap,
    "credit_for_unbilled_span": credit_for_unbilled_span,
    "net_billed_after_credits": net_billed_after_credits,
    "credit_note_unused_advance_cents": credit_note_unused_advance_cents,
    "net_lines_of_one_component_cents": net_lines_of_one_component_cents,
}
