"""Agreements: their derived status and next invoice date, and the invoice run."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from shared.kernel.periods import Period
from simulators.calendar_days import day_of, midnight
from simulators.connectwise import reference_data as reference
from simulators.connectwise.invoicing import CENT, Due, Line, Terms, lines_for, next_period
from simulators.connectwise.refusals import refuse_field
from simulators.connectwise.state import State, company_reference
from simulators.exact_json import Document


def created(state: State, given: Document, today: date) -> Document:
    row = reference.with_defaults(reference.AGREEMENT, given)
    company = state.companies.get(row["company"].get("id", 0))
    if company is None:
        raise refuse_field("Agreement", "company", "the company does not exist")
    row.setdefault("startDate", midnight(today))
    row.setdefault("currency", company["currency"])
    return {**row, "id": state.new_id(), "company": company_reference(company)}


def changed(state: State, row: Document, changes: Document) -> Document:
    if "company" in changes:
        company = state.companies.get((changes["company"] or {}).get("id", 0))
        if company is None:
            raise refuse_field("Agreement", "company", "the company does not exist")
        changes = {**changes, "company": company_reference(company)}
    return {k: v for k, v in {**row, **changes}.items() if v is not None}


def view(state: State, row: Document, today: date) -> Document:
    """The agreement as the API shows it. The next invoice date moves only by invoicing."""
    shown = {**row, "agreementStatus": status_of(row, today)}
    period = next_period(terms_of(row), billed_periods(state, row["id"]), today)
    if period is not None and terms_of(row).recurs:
        shown["nextInvoiceDate"] = midnight(period.start)
    return shown


def status_of(row: Document, today: date) -> str:
    if row.get("cancelledFlag"):
        return "Cancelled"
    if day_of(row["startDate"]) > today:
        return "Inactive"
    ends = row.get("endDate")
    if ends and not row.get("noEndingDateFlag") and day_of(ends) < today:
        return "Expired"
    return "Active"


def terms_of(row: Document) -> Terms:
    ends = row.get("endDate") if not row.get("noEndingDateFlag") else None
    if row.get("cancelledFlag"):
        ends = row.get("dateCancelled", ends)
    return Terms(
        cycle=reference.cycle_options(row),
        starts_on=day_of(row.get("billStartDate") or row["startDate"]),
        ends_on=day_of(ends) if ends else None,
        prorate=bool(row.get("prorateFlag")),
        prorated_apart=bool(row.get("invoiceProratedAdditionsFlag")),
        contract_year=row.get("invoicingCycle") == "ContractYear",
        amount=Decimal(row.get("billAmount") or 0),
    )


def billed_periods(state: State, agreement: int) -> frozenset[date]:
    """First days of the periods that an invoice of this agreement stands for."""
    ids = {i["id"] for i in state.invoices_of(agreement)}
    return frozenset(p.start for id, p in state.invoice_periods.items() if id in ids)


def run_invoice(state: State, row: Document, dues: list[Due], today: date) -> list[Document]:
    """Invoice the next period of an agreement. The regular invoice comes first; an invoice of
    prorations follows it where the agreement bills them apart."""
    terms = terms_of(row)
    period = next_period(terms, billed_periods(state, row["id"]), today)
    if period is None:
        raise refuse_field("Agreement", "endDate", "the agreement has no period left to invoice")
    billed = {id: _starts(periods) for id, periods in state.billed_additions().items()}
    regular, apart = lines_for(terms, period, dues, billed)
    if not regular and not terms.recurs:
        raise refuse_field("Agreement", "additions", "there is nothing to invoice")
    day = period.start if terms.recurs else today
    made = [_invoice(state, row, regular, day)]
    state.invoice_periods[made[0]["id"]] = period
    if apart:
        made.append(_invoice(state, row, apart, day))
    return made


def _starts(periods: frozenset[Period]) -> frozenset[date]:
    return frozenset(p.start for p in periods)


def _invoice(state: State, row: Document, lines: list[Line], day: date) -> Document:
    """The invoice record; agreement invoices are dated with the period they bill."""
    id = state.new_id()
    subtotal = sum((line.amount for line in lines), Decimal(0))
    products = sum((line.amount for line in lines if line.addition is not None), Decimal(0))
    rate = state.tax_rates.get(str(row.get("taxCode", {}).get("id")), Decimal(0))
    taxable = sum((line.amount for line in lines if line.taxable), Decimal(0))
    tax = (taxable * rate).quantize(CENT, ROUND_HALF_UP)
    invoice = {
        "id": id,
        "invoiceNumber": str(id),
        "type": "Agreement",
        "status": {"id": 1, "name": "New", "isClosed": False},
        "company": row["company"],
        "applyToType": "Agreement",
        "applyToId": row["id"],
        "agreement": {
            "id": row["id"],
            "name": row["name"],
            "type": row["type"].get("name", ""),
            "chargeFirmFlag": False,
        },
        "date": midnight(day),
        "dueDate": midnight(day + timedelta(days=30)),
        "currency": row["currency"],
        "taxableFlag": taxable != 0,
        "agreementAmount": subtotal - products,
        "productTotal": products,
        "serviceTotal": 0,
        "expenseTotal": 0,
        "subtotal": subtotal,
        "salesTax": tax,
        "total": subtotal + tax,
        "payments": 0,
        "credits": 0,
        "balance": subtotal + tax,
    }
    state.invoices[id] = invoice
    state.invoice_lines[id] = lines
    return invoice
