"""Additions on an agreement for the lines of one finalised invoice (C2 to C5).

The PSA never computes: a recurring line keeps quantity × unit price where that is exactly its net
amount, everything else is quantity 1 at the net amount, credits with a negative price.

A recurring line stays open (no last day), as a person would enter it, so that the agreement shows
what recurs. It is still one addition per invoice line: when an invoice for a later PSA period
comes, the open additions of the contract are closed with the day before that period, and successors
are created for what recurs. Changing the open addition instead would rewrite the line of an
invoice that may be out already, and a subscription that ended would bill for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from psa_connector.domain.drafts import Draft
from psa_connector.domain.line_texts import line_id, service_days
from psa_connector.domain.mapping import product_for, unmapped
from psa_connector.domain.operations import Addition, AdditionClose
from psa_connector.domain.push_keys import KeyKind
from shared.contracts.invoicing import InvoiceFinalised, TaxedLine, TaxTotal
from shared.kernel.money import EXACT, Rounding, round_to
from shared.kernel.periods import Period, month_of

PRICE_DIGITS = 4  # unit prices carry at most four decimals (G1)
DESCRIPTION_MAX = 6000
ONE = Decimal(1)
NO_COST = Decimal(0)


class TaxBy(StrEnum):
    """Who taxes what the PSA invoices."""

    PSA = "psa"  # lines say whether they are taxable; the PSA computes
    ENGINE = "engine"  # nothing is taxable; our tax goes over as lines of its own


class ZeroLines(StrEnum):
    NO_CHARGE = "no_charge"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class AdditionRules:
    """What a connection's settings decide about additions."""

    tax_by: TaxBy = TaxBy.PSA
    zero_lines: ZeroLines = ZeroLines.NO_CHARGE


@dataclass(frozen=True, slots=True)
class OpenAddition:
    """A recurring addition that we planned for a contract and have not closed."""

    intent_id: str
    source_id: str
    subscription_id: str | None
    effective_on: date


def psa_period(invoice_date: date) -> Period:
    """The period of the PSA that an invoice belongs to: its calendar month (C4).

    Agreements bill calendar months whatever our cycle's anchor; a line over two of them would be
    billed in both.
    """
    return month_of(invoice_date)


def draft_additions(
    invoice: InvoiceFinalised,
    *,
    mapped: Mapping[str, str],
    still_open: Sequence[OpenAddition],
    rules: AdditionRules,
) -> list[Draft]:
    """Closes and additions, in the order they must reach the PSA: every close before the lines.

    A run that stops in between leaves a line too few, which the sums show; never one too many.
    """
    period = psa_period(invoice.invoice_date)
    closes = [_close(old, period) for old in still_open if old.effective_on < period.start]
    lines = [
        _draft(invoice, line, period, mapped=mapped, rules=rules)
        for line in invoice.lines
        if line.net or rules.zero_lines is ZeroLines.NO_CHARGE
    ]
    taxes = []
    if rules.tax_by is TaxBy.ENGINE:
        totals = [total for total in invoice.taxes if total.tax]
        taxes = [
            _tax(invoice, number, total, period, mapped=mapped)
            for number, total in enumerate(totals, start=1)
        ]
    return [*closes, *lines, *taxes]


def _close(old: OpenAddition, period: Period) -> Draft:
    return Draft(
        source_id=old.source_id,
        key_kind=KeyKind.INVOICE_LINE_CLOSE,
        subscription_id=old.subscription_id,
        operation=AdditionClose(old.intent_id, period.start - timedelta(days=1)),
    )


def _draft(
    invoice: InvoiceFinalised,
    line: TaxedLine,
    period: Period,
    *,
    mapped: Mapping[str, str],
    rules: AdditionRules,
) -> Draft:
    product = product_for(line.product_key, line.kind, mapped)
    quantity, unit_price = quantity_and_price(line)
    return Draft(
        source_id=line_id(invoice, line),
        key_kind=KeyKind.INVOICE_LINE,
        subscription_id=line.subscription_id,
        operation=Addition(
            product=product,
            quantity=quantity,
            unit_price=unit_price,
            unit_cost=_unit_cost(invoice, line, quantity),
            effective_on=period.start,
            last_on=None if line.recurring else period.last_day,
            taxable=rules.tax_by is TaxBy.PSA and line.tax_rate != 0,
            charged=line.net != 0,
            description=_description(invoice, line, quantity),
        ),
        block=None if product.external_id else unmapped(product),
    )


def quantity_and_price(line: TaxedLine) -> tuple[Decimal, Decimal]:
    """What the PSA multiplies, so that it gets exactly the line's net amount (C3)."""
    price = line.unit_price
    if line.recurring and price is not None and line.quantity > 0:
        short = round_to(price, PRICE_DIGITS, Rounding.HALF_AWAY) == price
        if short and EXACT.multiply(line.quantity, price) == line.net:
            return line.quantity, price
    return ONE, line.net


def _unit_cost(invoice: InvoiceFinalised, line: TaxedLine, quantity: Decimal) -> Decimal:
    """Cost per unit, for the margin the PSA shows; no sum depends on it.

    A cost in another currency is not ours to convert and would be read as the agreement's: zero.
    """
    if line.cost_currency != invoice.currency:
        return NO_COST
    return round_to(EXACT.divide(line.cost, quantity), PRICE_DIGITS, Rounding.HALF_AWAY)


def _description(invoice: InvoiceFinalised, line: TaxedLine, quantity: Decimal) -> str:
    """Product, period, factors and our line number (C5)."""
    parts = [line.product_name]
    if line.description and line.description != line.product_name:
        parts.append(line.description)
    parts.append(f"Service period {service_days(line)}")
    if quantity == ONE and line.quantity != ONE and line.unit_price is not None:
        parts.append(f"{line.quantity:f} × {line.unit_price:f} {invoice.currency}")
    parts.append(f"Invoice {invoice.number}, line {line.number}")
    return "\n".join(parts)[:DESCRIPTION_MAX]


def _tax(
    invoice: InvoiceFinalised,
    number: int,
    total: TaxTotal,
    period: Period,
    *,
    mapped: Mapping[str, str],
) -> Draft:
    """Our tax as a line of its own, on the product mapped for that tax (C10)."""
    product = product_for(f"tax:{total.name}", "tax", mapped)
    return Draft(
        source_id=f"{invoice.number}/tax-{number}",
        key_kind=KeyKind.INVOICE_LINE,
        operation=Addition(
            product=product,
            quantity=ONE,
            unit_price=total.tax,
            unit_cost=NO_COST,
            effective_on=period.start,
            last_on=period.last_day,
            taxable=False,
            charged=True,
            description=f"{total.name}\nInvoice {invoice.number}",
        ),
        block=None if product.external_id else unmapped(product),
    )
