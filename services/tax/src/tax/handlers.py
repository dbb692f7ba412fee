"""What tax does with a draft and with a new rate; HTTP routes and jobs call the same functions."""

from __future__ import annotations

from dataclasses import asdict

import structlog

from shared.contracts.invoicing import InvoiceDrafted, TaxTotal
from shared.contracts.tax import LineTax, TaxDetermined, TaxHeld
from shared.kernel.errors import Conflict, Held
from shared.kernel.ids import derived_id
from shared.runtime.handlers import Handlers
from shared.runtime.postgres import Transaction
from tax import store
from tax.domain.determination import Determination, Document, Line
from tax.domain.rates import Rate, versioned

log = structlog.get_logger()

DETERMINE = "determine"  # the job that asks the engine


async def on_invoice_drafted(event: InvoiceDrafted, tx: Transaction) -> None:
    """Keep the draft and let the engine be asked. A repeat asks nothing.

    Raises:
        Conflict: `draft_revision_reused` when a known revision comes with other content.
    """
    document = _document(event)
    known = await store.latest_draft(tx, document.invoice_id)
    if known is not None and document.revision < known.document.revision:
        log.info("draft.outdated", invoice_id=document.invoice_id, revision=document.revision)
        return
    if known is not None and document.revision == known.document.revision:
        if document != known.document:
            raise Conflict(
                "draft_revision_reused",
                f"revision {document.revision} of {document.invoice_id} came with other content",
            )
        return
    if tx.cause is None:
        raise RuntimeError("a draft arrives in a message")
    await store.add_draft(tx, document, tx.cause)
    tx.wake(DETERMINE)


async def enter_rate(tx: Transaction, rate: Rate) -> Rate:
    """Keep a rate an operator enters; held drafts are asked about again.

    Raises:
        Conflict: what `versioned` refuses.
    """
    rows = await store.lock_rates_near(tx, rate)
    kept = versioned(rows, rate)
    if kept in rows:
        return kept
    table_version = await store.add_rate(tx, kept)
    await tx.record(
        "rate.entered",
        f"rate/{kept.rate_id}",
        after={
            "jurisdiction": kept.jurisdiction,
            "category": kept.category,
            "name": kept.name,
            "rate": f"{kept.rate:f}",
            "valid_from": kept.valid_from.isoformat(),
            "version": kept.version,
            "table_version": table_version,
        },
    )
    tx.wake(DETERMINE)
    return kept


async def settle(
    tx: Transaction, document: Document, *, outcome: Determination | Held, engine_version: str
) -> None:
    """Keep what the engine said and tell it; void if the draft was answered or redrafted since."""
    draft = await store.lock_draft(tx, document)
    if draft.state != "requested":
        return
    if isinstance(outcome, Held):
        await _hold(tx, draft, held=outcome, engine_version=engine_version)
    else:
        await _determine(tx, document, outcome)


async def _hold(tx: Transaction, draft: store.Draft, *, held: Held, engine_version: str) -> None:
    """Announced once per reason: asking again in vain is no news."""
    document = draft.document
    news = (draft.reason, draft.detail) != (held.code, held.detail)
    await store.hold_draft(tx, document, held=held, engine_version=engine_version, announced=news)
    if not news:
        return
    event = TaxHeld(
        invoice_id=document.invoice_id,
        revision=document.revision,
        account_id=document.account_id,
        reason=held.code,
        detail=held.detail,
    )
    await tx.publish(
        event, id=derived_id("tax-held", document.invoice_id, document.revision, draft.holds + 1)
    )
    await tx.record(
        "tax.held",
        event.subject(),
        after={"revision": document.revision, "reason": held.code},
        reason=held.detail,
    )


async def _determine(tx: Transaction, document: Document, result: Determination) -> None:
    determination_id = derived_id("determination", document.invoice_id, document.revision)
    await store.add_determination(tx, document, determination_id=determination_id, result=result)
    event = TaxDetermined(
        determination_id=determination_id,
        invoice_id=document.invoice_id,
        revision=document.revision,
        account_id=document.account_id,
        currency=document.currency,
        tax_date=document.tax_date,
        mode=document.mode,
        engine=result.engine,
        engine_version=result.engine_version,
        lines=tuple(
            LineTax(
                number=line.number, rate=line.rate.rate, rate_id=line.rate.rate_id, tax=line.tax
            )
            for line in result.lines
        ),
        taxes=tuple(TaxTotal(**asdict(total)) for total in result.totals),
        tax=result.tax,
    )
    await tx.publish(event, id=derived_id("tax-determined", determination_id))
    await tx.record(
        "tax.determined",
        event.subject(),
        after={
            "revision": document.revision,
            "tax": f"{result.tax:f}",
            "currency": document.currency,
            "engine_version": result.engine_version,
        },
    )


def _document(event: InvoiceDrafted) -> Document:
    return Document(
        invoice_id=event.invoice_id,
        revision=event.revision,
        account_id=event.account_id,
        jurisdiction=event.tax_jurisdiction,
        mode=event.tax_mode,
        currency=event.currency,
        tax_date=event.invoice_date,
        lines=tuple(
            Line(
                line.number,
                line.tax_category,
                line.net,
                line.site.tax_jurisdiction if line.site else None,
            )
            for line in event.lines
        ),
        net=event.net,
    )


HANDLERS: Handlers = {InvoiceDrafted: on_invoice_drafted}
