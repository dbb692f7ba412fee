"""What the API shows of an invoice."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel

from invoicing.domain.lifecycle import InvoiceKind, InvoiceState, RunState
from invoicing.store.invoices import Invoice
from invoicing.store.runs import Run
from shared.contracts.envelope import Exact, PeriodField
from shared.contracts.invoicing import InvoiceLine, TaxTotal
from shared.contracts.rating import ChargeRated


class TaxReference(BaseModel):
    """Which determination taxed it; a line also names its row of the rate table."""

    determination_id: str
    engine: str
    engine_version: str
    rate: Exact | None = None
    rate_id: str | None = None


class InvoiceHead(BaseModel):
    """An invoice without its lines. A draft has no number, tax or total yet."""

    invoice_id: str
    number: str | None
    kind: InvoiceKind | None
    state: InvoiceState
    revision: int
    run_id: str
    contract_id: str
    account_id: str
    selling_entity_id: str
    currency: str
    invoice_date: date
    due_on: date | None
    net: Exact
    tax: Exact | None
    total: Exact | None
    tax_determination: TaxReference | None
    drafted_at: datetime
    finalised_at: datetime | None
    paid_at: datetime | None


class LineView(InvoiceLine):
    """A line; tax is known once the invoice is finalised, per line only in that mode."""

    tax: Exact | None = None
    tax_rate: Exact | None = None
    tax_rate_id: str | None = None


class HoldView(BaseModel):
    reason: str
    detail: str
    since: datetime


class PaymentView(BaseModel):
    attempt_id: str
    amount: Exact
    currency: str
    provider: str
    provider_payment_id: str
    succeeded_at: datetime


class InvoiceView(InvoiceHead):
    """The whole invoice."""

    lines: list[LineView]
    taxes: list[TaxTotal]
    run_state: RunState
    hold: HoldView | None
    payments: list[PaymentView]


class RunBasis(BaseModel):
    """The run that put the line on this invoice."""

    run_id: str
    state: RunState
    recurring: PeriodField
    closed: PeriodField


class LineOfCharge(BaseModel):
    """One line that billed a part of the charge."""

    invoice_number: str
    invoice_id: str
    invoice_date: date
    number: int
    net: Exact
    charge_revision: int


class LinkView(BaseModel):
    """`GET path` at `service` answers `what`."""

    what: str
    service: str
    path: str


class Explanation(BaseModel):
    """A line and everything behind it that invoicing knows."""

    invoice: InvoiceHead
    line: LineView
    charge: ChargeRated | None  # the revision this line billed; None for a one-time item
    run: RunBasis
    tax: TaxReference | None
    corrects: str | None  # <invoice number>/<line>
    billed_by: list[LineOfCharge]  # every line of this charge, this one included
    links: list[LinkView]


def head(invoice: Invoice) -> InvoiceHead:
    """An invoice as the API lists it."""
    return InvoiceHead(
        invoice_id=invoice.invoice_id,
        number=invoice.number,
        kind=invoice.kind,
        state=invoice.state,
        revision=invoice.revision,
        run_id=invoice.run_id,
        contract_id=invoice.contract_id,
        account_id=invoice.account_id,
        selling_entity_id=invoice.selling_entity_id,
        currency=invoice.currency,
        invoice_date=invoice.invoice_date,
        due_on=invoice.due_on,
        net=invoice.net,
        tax=invoice.tax,
        total=invoice.total,
        tax_determination=tax_of(invoice),
        drafted_at=invoice.drafted_at,
        finalised_at=invoice.finalised_at,
        paid_at=invoice.paid_at,
    )


def hold_of(run: Run) -> HoldView | None:
    """Why a run waits; None when it does not."""
    if run.hold is None:
        return None
    return HoldView(reason=run.hold.reason, detail=run.hold.detail, since=run.hold.since)


def tax_of(invoice: Invoice, line: LineView | None = None) -> TaxReference | None:
    """The determination of an invoice, or of one of its lines; None before there is one."""
    if invoice.determination_id is None:
        return None
    return TaxReference(
        determination_id=invoice.determination_id,
        engine=invoice.tax_engine or "",
        engine_version=invoice.tax_engine_version or "",
        rate=line and line.tax_rate,
        rate_id=line and line.tax_rate_id,
    )
