"""From a draft to an issued invoice: its tax, its number, and the fact that it was paid."""

from __future__ import annotations

import structlog

from invoicing.domain.collect import ONE_TIME
from invoicing.domain.lifecycle import INVOICE_ISSUED, InvoiceKind, InvoiceState, RunState
from invoicing.domain.numbering import invoice_number, line_reference
from invoicing.domain.totals import Taxed, merge
from invoicing.handlers.drafting import drafted_event_id
from invoicing.handlers.requests import START_RUNS
from invoicing.handlers.runs import hold
from invoicing.store import charges, invoices, parties, runs
from shared.contracts.invoicing import InvoiceFinalised, InvoiceLine
from shared.contracts.payments import PaymentSucceeded
from shared.contracts.tax import TaxDetermined, TaxHeld
from shared.kernel.errors import Conflict, DomainError, Held, Invalid
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction

log = structlog.get_logger()


async def on_tax_determined(event: TaxDetermined, tx: Transaction) -> None:
    """Finalise the invoice, if this answers its present draft. An answer whose figures do not tie
    holds it; late answers release a hold."""
    found = await _waiting(tx, event.invoice_id, event.revision)
    if found is None:
        return
    invoice, run = found
    try:
        async with tx.savepoint():
            await _finalise(tx, invoice, determined=event)
    except DomainError as error:
        await _hold_tax(tx, invoice, run, why=error)


async def on_tax_held(event: TaxHeld, tx: Transaction) -> None:
    """Tax cannot tell yet: the invoice waits with tax's reason. There is no tax of zero."""
    found = await _waiting(tx, event.invoice_id, event.revision)
    if found is not None:
        invoice, run = found
        await _hold_tax(tx, invoice, run, why=Held(event.reason, event.detail))


async def on_payment_succeeded(event: PaymentSucceeded, tx: Transaction) -> None:
    """Note the payment; the invoice is paid once payments reach its total. No figure changes.

    Raises:
        NotFound: `invoice_unknown`. Conflict: `invoice_not_finalised`.
        Invalid: `payment_currency_mismatch`.
    """
    invoice = await invoices.lock_invoice(tx, event.invoice_id)
    if invoice.total is None:
        raise Conflict("invoice_not_finalised", f"{invoice.invoice_id} is {invoice.state}")
    if event.currency != invoice.currency:
        raise Invalid(
            "payment_currency_mismatch", f"{event.currency} paid, {invoice.currency} owed"
        )
    if not await invoices.add_payment(tx, event):
        return
    received = await invoices.sum_of_payments(tx, invoice.invoice_id)
    if invoice.state is InvoiceState.FINALISED and received >= invoice.total:
        await invoices.mark_paid(tx, invoice, at=event.succeeded_at)
        await tx.record(
            "invoice.paid",
            f"invoice/{invoice.invoice_id}",
            before={"state": invoice.state},
            after={"state": InvoiceState.PAID, "attempt_id": event.attempt_id},
        )


async def retry_tax(tx: Transaction, id_or_number: str) -> invoices.Invoice:
    """Ask tax again with a new revision that carries the account's present jurisdiction.

    Raises:
        NotFound: `invoice_unknown`. Conflict: `invoice_finalised`.
    """
    found = await invoices.get_invoice(tx, id_or_number)
    await parties.lock_contract(tx, found.contract_id)
    await redraft(tx, found.invoice_id)
    return await invoices.get_invoice(tx, found.invoice_id)


async def redraft(tx: Transaction, invoice_id: str) -> None:
    """The next revision of a draft: the same lines, the present facts about who taxes whom. The
    caller holds the lock of the contract."""
    invoice = await invoices.lock_invoice(tx, invoice_id)
    if invoice.state in INVOICE_ISSUED:
        raise Conflict("invoice_finalised", f"{invoice_id} has its tax and its number")
    run = await runs.lock_run(tx, invoice.run_id)
    account = await parties.get_account(tx, invoice.account_id)
    seller = await parties.get_seller(tx, invoice.selling_entity_id)
    known = await invoices.find_draft(tx, invoice)
    draft = known.model_copy(
        update={
            "lines": await _placed_anew(tx, known.lines),
            "revision": invoice.revision + 1,
            "seller_country": seller.country,
            "tax_jurisdiction": account.tax_jurisdiction,
            "tax_mode": seller.tax_mode,
        }
    )
    await invoices.redraft(tx, invoice, draft)
    if run.state is RunState.HELD:
        await runs.move(tx, run, RunState.TAX_REQUESTED)
    await tx.publish(draft, id=drafted_event_id(draft))
    await tx.record(
        "invoice.redrafted",
        draft.subject(),
        before={"revision": invoice.revision, "state": invoice.state},
        after={"revision": draft.revision, "tax_jurisdiction": draft.tax_jurisdiction},
    )


async def _placed_anew(tx: Transaction, lines: tuple[InvoiceLine, ...]) -> tuple[InvoiceLine, ...]:
    """The same lines, each site taxed where its account is now."""
    placed = []
    for line in lines:
        if line.site is not None:
            account = await parties.get_account(tx, line.site.account_id)
            here = {"tax_jurisdiction": account.tax_jurisdiction}
            line = line.model_copy(update={"site": line.site.model_copy(update=here)})
        placed.append(line)
    return tuple(placed)


async def _waiting(
    tx: Transaction, invoice_id: str, revision: int
) -> tuple[invoices.Invoice, runs.Run] | None:
    """The locked draft this answers; None when it was redrafted or finalised since.

    Raises:
        NotFound: `invoice_unknown`.
    """
    found = await invoices.get_invoice(tx, invoice_id)
    await parties.lock_contract(tx, found.contract_id)
    run = await runs.lock_run(tx, found.run_id)
    invoice = await invoices.lock_invoice(tx, found.invoice_id)
    if invoice.state in INVOICE_ISSUED or revision != invoice.revision:
        log.info("tax.answer_is_stale", invoice_id=invoice_id, revision=revision)
        return None
    return invoice, run


async def _hold_tax(
    tx: Transaction, invoice: invoices.Invoice, run: runs.Run, *, why: DomainError
) -> None:
    await invoices.hold_tax(tx, invoice)
    await hold(tx, run, why)


async def _finalise(
    tx: Transaction, invoice: invoices.Invoice, *, determined: TaxDetermined
) -> None:
    """Number, lines, billed amounts and the event: all of it in one transaction."""
    draft = await invoices.find_draft(tx, invoice)
    taxed = merge(draft, determined)
    seller = await parties.get_seller(tx, invoice.selling_entity_id)
    count = await parties.take_count(tx, seller.selling_entity_id)
    issue = invoices.Issue(
        kind=InvoiceKind.CREDIT_NOTE if taxed.total < 0 else InvoiceKind.INVOICE,
        number=invoice_number(seller.invoice_prefix, count),
        due_on=seller.due_on(invoice.invoice_date),
    )
    await invoices.finalise(tx, invoice, issue, taxed=taxed, determined=determined)
    await _note_billed(tx, invoice, issue.number, taxed=taxed)
    for each in await runs.of_invoice(tx, invoice.invoice_id):
        await runs.move(tx, each, RunState.FINALISED)
    event = _finalised(invoice, issue, taxed)
    await tx.publish(event, id=derived_id("invoice-finalised", invoice.invoice_id))
    await tx.record(
        "invoice.finalised",
        event.subject(),
        before={"state": invoice.state},
        after={
            "number": issue.number,
            "kind": issue.kind,
            "net": f"{taxed.net:f}",
            "tax": f"{taxed.tax:f}",
            "total": f"{taxed.total:f}",
            "currency": invoice.currency,
            "determination_id": determined.determination_id,
        },
    )
    tx.wake(START_RUNS)


async def _note_billed(
    tx: Transaction, invoice: invoices.Invoice, number: str, *, taxed: Taxed
) -> None:
    await charges.billed(tx, number, taxed.lines)
    for line in taxed.lines:
        if line.kind == ONE_TIME and line.item_id is not None:
            reference = line_reference(number, line.number)
            contract_id = line.site.contract_id if line.site else invoice.contract_id
            await parties.item_billed(tx, contract_id, line.item_id, reference)


def _finalised(invoice: invoices.Invoice, issue: invoices.Issue, taxed: Taxed) -> InvoiceFinalised:
    return InvoiceFinalised(
        invoice_id=invoice.invoice_id,
        number=issue.number,
        account_id=invoice.account_id,
        contract_id=invoice.contract_id,
        selling_entity_id=invoice.selling_entity_id,
        currency=invoice.currency,
        invoice_date=invoice.invoice_date,
        due_on=issue.due_on,
        lines=taxed.lines,
        taxes=taxed.taxes,
        net=taxed.net,
        tax=taxed.tax,
        total=taxed.total,
    )
