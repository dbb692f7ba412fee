"""Invoices over HTTP: everything an invoice is, and why each line is what it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path

from invoicing.api import views
from invoicing.api.fields import DayQuery, KeyPath, KeyQuery, after_day
from invoicing.domain.explain import links_of
from invoicing.domain.lifecycle import InvoiceState
from invoicing.handlers import invoices as handlers
from invoicing.store import charges, runs
from invoicing.store import invoices as store
from shared.contracts.envelope import PeriodField
from shared.contracts.rating import ChargeRated
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Database, Reader
from shared.runtime.web import CursorParam, Limit, Operates, Reads, encode_cursor, page

LineNumber = Annotated[int, Path(ge=1, le=1_000_000)]


def router(database: Database) -> APIRouter:
    """Routes under /v1."""
    routes = APIRouter(prefix="/v1", tags=["invoices"])

    @routes.get("/invoices", operation_id="invoices.list")
    async def list_invoices(
        caller: Reads,
        account_id: KeyQuery = None,
        contract_id: KeyQuery = None,
        invoice_date: DayQuery = None,
        state: InvoiceState | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Invoices by date, without their lines."""
        wanted = store.Filter(account_id, contract_id, invoice_date, state)
        async with database.read() as reader:
            rows = await store.list_invoices(reader, wanted, after=after_day(cursor), limit=limit)
        last = rows[-1] if len(rows) == limit else None
        more = encode_cursor(last.invoice_date.isoformat(), last.invoice_id) if last else None
        data = [views.head(invoice).model_dump(mode="json") for invoice in rows]
        return page(data, next_cursor=more)

    @routes.get("/invoices/{invoice}", operation_id="invoices.get")
    async def get_invoice(invoice: KeyPath, caller: Reads) -> views.InvoiceView:
        """One invoice by id or number, with lines, taxes, payments and what it waits for."""
        async with database.read() as reader:
            found = await store.get_invoice(reader, invoice)
            return await _whole(reader, found)

    @routes.post("/invoices/{invoice}:retry-tax", operation_id="invoices.retry-tax")
    async def retry_tax(invoice: KeyPath, caller: Operates) -> views.InvoiceHead:
        """Ask tax again about a draft, with the account's present jurisdiction. Answers to the
        former revision are void."""
        async with database.transaction(actor=caller.subject) as tx:
            return views.head(await handlers.retry_tax(tx, invoice))

    @routes.get("/invoices/{invoice}/lines/{line}/explain", operation_id="invoices.explain")
    async def explain(invoice: KeyPath, line: LineNumber, caller: Reads) -> views.Explanation:
        """Why a line is what it is: its charge as rated, its tax, what it corrects, and where the
        chain goes on."""
        async with database.read() as reader:
            found = await store.get_invoice(reader, invoice)
            return await _explained(reader, found, line)

    return routes


async def _lines(reader: Reader, invoice: store.Invoice) -> list[views.LineView]:
    """Of the finalised invoice, or of the present draft."""
    if invoice.number is not None:
        issued = await store.lines_of(reader, invoice.invoice_id)
        return [
            views.LineView(**one.line.model_dump(), tax_rate_id=one.tax_rate_id) for one in issued
        ]
    draft = await store.find_draft(reader, invoice)
    return [views.LineView(**line.model_dump()) for line in draft.lines]


async def _whole(reader: Reader, invoice: store.Invoice) -> views.InvoiceView:
    run = await runs.get_run(reader, invoice.run_id)
    payments = await store.payments_of(reader, invoice.invoice_id)
    return views.InvoiceView(
        **views.head(invoice).model_dump(),
        lines=await _lines(reader, invoice),
        taxes=await store.taxes_of(reader, invoice.invoice_id),
        run_state=run.state,
        hold=views.hold_of(run),
        payments=[views.PaymentView(**asdict(payment)) for payment in payments],
    )


async def _explained(reader: Reader, invoice: store.Invoice, number: int) -> views.Explanation:
    lines = await _lines(reader, invoice)
    line = next((one for one in lines if one.number == number), None)
    if line is None:
        raise NotFound("line_unknown", f"the invoice has no line {number}")
    charge = await _charge(reader, line)
    billed = await store.lines_of_charge(reader, line.charge_id) if line.charge_id else []
    run = await runs.get_run(reader, invoice.run_id)
    return views.Explanation(
        invoice=views.head(invoice),
        line=line,
        charge=charge,
        run=views.RunBasis(
            run_id=run.run_id,
            state=run.state,
            recurring=PeriodField.of(run.due.recurring),
            closed=PeriodField.of(run.due.closed),
        ),
        tax=views.tax_of(invoice, line),
        corrects=line.corrects,
        billed_by=[views.LineOfCharge(**asdict(one)) for one in billed],
        links=[views.LinkView(**asdict(link)) for link in links_of(charge, invoice.invoice_id)],
    )


async def _charge(reader: Reader, line: views.LineView) -> ChargeRated | None:
    """The revision of the charge that this line billed."""
    if line.charge_id is None or line.charge_revision is None:
        return None
    return await charges.find_revision(reader, line.charge_id, line.charge_revision)
