"""Invoices: drafts by revision, then lines and totals that never change again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from invoicing.domain.lifecycle import InvoiceKind, InvoiceState, step_invoice
from invoicing.domain.totals import Taxed
from shared.contracts.envelope import PeriodField
from shared.contracts.invoicing import InvoiceDrafted, SiteAmount, TaxedLine, TaxTotal
from shared.contracts.payments import PaymentSucceeded
from shared.contracts.tax import TaxDetermined
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Reader, Record, Transaction

ADD_INVOICE = """
INSERT INTO invoice (invoice_id, run_id, contract_id, account_id, selling_entity_id, currency,
                     invoice_date, state, revision, drafted_at, net)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'draft', $8, $9, $10)
"""
ADD_DRAFT = """
INSERT INTO invoice_draft (invoice_id, revision, payload, drafted_at) VALUES ($1, $2, $3, $4)
"""
REDRAFT = "UPDATE invoice SET state = 'draft', revision = $2 WHERE invoice_id = $1"
FIND_DRAFT = "SELECT payload FROM invoice_draft WHERE invoice_id = $1 AND revision = $2"
FIND_INVOICE = "SELECT * FROM invoice WHERE invoice_id = $1 OR number = $1"
LOCK_INVOICE = "SELECT * FROM invoice WHERE invoice_id = $1 FOR NO KEY UPDATE"
SET_STATE = "UPDATE invoice SET state = $2 WHERE invoice_id = $1"
FINALISE = """
UPDATE invoice
SET state = 'finalised', kind = $2, number = $3, due_on = $4, tax = $5, total = $6,
    determination_id = $7, tax_engine = $8, tax_engine_version = $9, finalised_at = $10
WHERE invoice_id = $1
"""
ADD_TAX = """
INSERT INTO invoice_tax (invoice_id, position, name, rate, taxable, tax)
VALUES ($1, $2, $3, $4, $5, $6)
"""
LINES = "SELECT * FROM invoice_line WHERE invoice_id = $1 ORDER BY number"
LINES_OF_CHARGE = """
SELECT i.number AS invoice_number, i.invoice_id, i.invoice_date, l.number, l.net, l.charge_revision
FROM invoice_line l JOIN invoice i USING (invoice_id)
WHERE l.charge_id = $1 ORDER BY i.invoice_date, l.number
"""
TAXES = "SELECT name, rate, taxable, tax FROM invoice_tax WHERE invoice_id = $1 ORDER BY position"
TAX_HELD_OF_ACCOUNT = """
SELECT invoice_id, contract_id FROM invoice
WHERE state = 'tax_held'
  AND (account_id = $1
       OR invoice_id IN (SELECT r.invoice_id FROM invoice_run r JOIN contract c USING (contract_id)
                         WHERE c.account_id = $1))
ORDER BY contract_id, invoice_id
"""
ADD_PAYMENT = """
INSERT INTO invoice_payment (attempt_id, invoice_id, amount, currency, provider,
                             provider_payment_id, succeeded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING attempt_id
"""
SUM_OF_PAYMENTS = "SELECT coalesce(sum(amount), 0) FROM invoice_payment WHERE invoice_id = $1"
PAYMENTS = "SELECT * FROM invoice_payment WHERE invoice_id = $1 ORDER BY succeeded_at, attempt_id"
PAID = "UPDATE invoice SET state = 'paid', paid_at = $2 WHERE invoice_id = $1"
INVOICES_OF_GROUP = """
WITH RECURSIVE member AS (
    SELECT account_id FROM account WHERE account_id = $1
    UNION
    SELECT a.account_id FROM account a JOIN member m ON a.parent_account_id = m.account_id)
SELECT i.* FROM invoice i JOIN member USING (account_id)
WHERE i.number IS NOT NULL AND i.invoice_date >= $2 AND i.invoice_date < $3
ORDER BY i.invoice_date, i.number
"""
LIST_INVOICES = """
SELECT * FROM invoice
WHERE ($1::text IS NULL OR account_id = $1)
  AND ($2::text IS NULL OR contract_id = $2
       OR invoice_id IN (SELECT invoice_id FROM invoice_run WHERE contract_id = $2))
  AND ($3::date IS NULL OR invoice_date = $3)
  AND ($4::text IS NULL OR state = $4)
  AND ($5::date IS NULL OR (invoice_date, invoice_id) > ($5::date, $6::text))
ORDER BY invoice_date, invoice_id LIMIT $7
"""

LINE_COLUMNS = (
    "number", "charge_id", "charge_revision", "item_id", "kind", "product_key", "product_name",
    "tax_category", "description", "subscription_id", "quantity", "unit_price", "net",
    "net_exact", "cost", "cost_currency", "recurring", "corrects", "tax", "tax_rate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice without its lines; what only finalising decides is None before."""

    invoice_id: str
    run_id: str
    contract_id: str
    account_id: str
    selling_entity_id: str
    currency: str
    invoice_date: date
    state: InvoiceState
    revision: int
    drafted_at: datetime
    net: Decimal
    kind: InvoiceKind | None
    number: str | None
    due_on: date | None
    tax: Decimal | None
    total: Decimal | None
    determination_id: str | None
    tax_engine: str | None
    tax_engine_version: str | None
    finalised_at: datetime | None
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class Issue:
    """What finalising adds to a draft."""

    kind: InvoiceKind
    number: str
    due_on: date


@dataclass(frozen=True, slots=True)
class IssuedLine:
    """A line of a finalised invoice, with the row of the rate table that taxed it."""

    line: TaxedLine
    tax_rate_id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which invoices to list; None asks for all."""

    account_id: str | None = None
    contract_id: str | None = None
    invoice_date: date | None = None
    state: InvoiceState | None = None


@dataclass(frozen=True, slots=True)
class LineOfCharge:
    """One line that billed a part of a charge."""

    invoice_number: str
    invoice_id: str
    invoice_date: date
    number: int
    net: Decimal
    charge_revision: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that reached an invoice."""

    attempt_id: str
    amount: Decimal
    currency: str
    provider: str
    provider_payment_id: str
    succeeded_at: datetime


async def add_invoice(tx: Transaction, draft: InvoiceDrafted, run_id: str) -> None:
    """Begin an invoice with its first draft."""
    await tx.execute(
        ADD_INVOICE, draft.invoice_id, run_id, draft.contract_id, draft.account_id,
        draft.selling_entity_id, draft.currency, draft.invoice_date, draft.revision, tx.now,
        draft.net,
    )  # fmt: skip
    await _add_draft(tx, draft)


async def redraft(tx: Transaction, invoice: Invoice, draft: InvoiceDrafted) -> None:
    """Replace the draft by its next revision; the answer to the former is void."""
    if invoice.state is not InvoiceState.DRAFT:
        step_invoice(invoice.state, InvoiceState.DRAFT)
    await tx.execute(REDRAFT, invoice.invoice_id, draft.revision)
    await _add_draft(tx, draft)


async def find_draft(reader: Reader, invoice: Invoice) -> InvoiceDrafted:
    """The draft as it was last published."""
    payload = await reader.fetchval(FIND_DRAFT, invoice.invoice_id, invoice.revision)
    return InvoiceDrafted.model_validate(payload)


async def find_invoice(reader: Reader, id_or_number: str) -> Invoice | None:
    row = await reader.fetchrow(FIND_INVOICE, id_or_number)
    return None if row is None else _invoice(row)


async def get_invoice(reader: Reader, id_or_number: str) -> Invoice:
    """Raises NotFound: `invoice_unknown`."""
    invoice = await find_invoice(reader, id_or_number)
    if invoice is None:
        raise NotFound("invoice_unknown", f"there is no invoice {id_or_number}")
    return invoice


async def lock_invoice(tx: Transaction, invoice_id: str) -> Invoice:
    """Raises NotFound: `invoice_unknown`."""
    row = await tx.fetchrow(LOCK_INVOICE, invoice_id)
    if row is None:
        raise NotFound("invoice_unknown", f"there is no invoice {invoice_id}")
    return _invoice(row)


async def hold_tax(tx: Transaction, invoice: Invoice) -> None:
    to = step_invoice(invoice.state, InvoiceState.TAX_HELD)
    await tx.execute(SET_STATE, invoice.invoice_id, to.value)


async def finalise(
    tx: Transaction, invoice: Invoice, issue: Issue, *, taxed: Taxed, determined: TaxDetermined
) -> None:
    """Write lines and taxes, then the number; from here on the database refuses changes."""
    step_invoice(invoice.state, InvoiceState.FINALISED)
    rate_ids = {line.number: line.rate_id for line in determined.lines}
    await tx.copy(
        "invoice_line",
        ("invoice_id", *LINE_COLUMNS, "service_start", "service_end", "tax_rate_id", "site"),
        [
            (
                invoice.invoice_id,
                *(getattr(line, column) for column in LINE_COLUMNS),
                line.service_period.start,
                line.service_period.end,
                rate_ids[line.number],
                line.site and line.site.model_dump(mode="json"),
            )
            for line in taxed.lines
        ],
    )
    await tx.executemany(
        ADD_TAX,
        [
            (invoice.invoice_id, position, group.name, group.rate, group.taxable, group.tax)
            for position, group in enumerate(taxed.taxes, start=1)
        ],
    )
    await tx.execute(
        FINALISE, invoice.invoice_id, issue.kind.value, issue.number, issue.due_on, taxed.tax,
        taxed.total, determined.determination_id, determined.engine, determined.engine_version,
        tx.now,
    )  # fmt: skip


async def lines_of(reader: Reader, invoice_id: str) -> list[IssuedLine]:
    """The lines of a finalised invoice, in order."""
    rows = await reader.fetch(LINES, invoice_id)
    return [_line(row) for row in rows]


async def taxes_of(reader: Reader, invoice_id: str) -> list[TaxTotal]:
    return [TaxTotal(**dict(row)) for row in await reader.fetch(TAXES, invoice_id)]


async def lines_of_charge(reader: Reader, charge_id: str) -> list[LineOfCharge]:
    """Every line that billed this charge, oldest first."""
    return [LineOfCharge(**dict(row)) for row in await reader.fetch(LINES_OF_CHARGE, charge_id)]


async def tax_held_of(reader: Reader, account_id: str) -> list[tuple[str, str]]:
    """Drafts of an account that wait for tax, as (invoice id, contract id)."""
    rows = await reader.fetch(TAX_HELD_OF_ACCOUNT, account_id)
    return [(row["invoice_id"], row["contract_id"]) for row in rows]


async def add_payment(tx: Transaction, payment: PaymentSucceeded) -> bool:
    """Keep a payment. False when its attempt is there already."""
    added = await tx.fetchval(
        ADD_PAYMENT, payment.attempt_id, payment.invoice_id, payment.amount, payment.currency,
        payment.provider, payment.provider_payment_id, payment.succeeded_at,
    )  # fmt: skip
    return added is not None


async def sum_of_payments(reader: Reader, invoice_id: str) -> Decimal:
    return Decimal(await reader.fetchval(SUM_OF_PAYMENTS, invoice_id))


async def payments_of(reader: Reader, invoice_id: str) -> list[Payment]:
    rows = await reader.fetch(PAYMENTS, invoice_id)
    return [
        Payment(**{name: value for name, value in row.items() if name != "invoice_id"})
        for row in rows
    ]


async def mark_paid(tx: Transaction, invoice: Invoice, *, at: datetime) -> None:
    step_invoice(invoice.state, InvoiceState.PAID)
    await tx.execute(PAID, invoice.invoice_id, at)


async def of_group(reader: Reader, account_id: str, start: date, end: date) -> list[Invoice]:
    """Finalised invoices of an account and of every account below it, dated in `[start, end)`."""
    return [_invoice(row) for row in await reader.fetch(INVOICES_OF_GROUP, account_id, start, end)]


async def list_invoices(
    reader: Reader, wanted: Filter, *, after: tuple[date, str] | None, limit: int
) -> list[Invoice]:
    day, invoice_id = after or (None, "")
    rows = await reader.fetch(
        LIST_INVOICES, wanted.account_id, wanted.contract_id, wanted.invoice_date, wanted.state,
        day, invoice_id, limit,
    )  # fmt: skip
    return [_invoice(row) for row in rows]


async def _add_draft(tx: Transaction, draft: InvoiceDrafted) -> None:
    payload = draft.model_dump(mode="json")
    await tx.execute(ADD_DRAFT, draft.invoice_id, draft.revision, payload, tx.now)


def _invoice(row: Record) -> Invoice:
    facts = dict(row)
    kind: str | None = facts.pop("kind")
    state = InvoiceState(facts.pop("state"))
    return Invoice(**facts, state=state, kind=None if kind is None else InvoiceKind(kind))


def _line(row: Record) -> IssuedLine:
    facts = {column: row[column] for column in LINE_COLUMNS}
    period = PeriodField(start=row["service_start"], end=row["service_end"])
    site = row["site"] and SiteAmount.model_validate(row["site"])
    return IssuedLine(TaxedLine(**facts, service_period=period, site=site), row["tax_rate_id"])
