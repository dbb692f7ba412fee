"""What every draft begins with: the open lines of its contracts, and the step of their runs."""

from __future__ import annotations

from collections.abc import Sequence

from invoicing.domain.collect import collect
from invoicing.domain.lifecycle import RunState
from invoicing.handlers.requests import START_RUNS
from invoicing.store import charges, invoices, parties, runs
from shared.contracts.invoicing import InvoiceDrafted, InvoiceLine
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction


def drafted_event_id(draft: InvoiceDrafted) -> str:
    """The same for every handling of the same revision."""
    return derived_id("invoice-drafted", draft.invoice_id, draft.revision)


async def lines_of(tx: Transaction, run: runs.Run, *, currency: str) -> tuple[InvoiceLine, ...]:
    """What is open of a contract, in its own currency."""
    return collect(
        await charges.open_differences(tx, run.contract_id, run.invoice_date),
        await parties.items_due(tx, run.contract_id, run.invoice_date),
        invoice_date=run.invoice_date,
        currency=currency,
    )


async def nothing_due(tx: Transaction, of: Sequence[runs.Run]) -> None:
    """End these runs without an invoice."""
    for run in of:
        await runs.move(tx, run, RunState.EMPTY)
        await tx.record(
            "invoice-run.empty",
            f"invoice-run/{run.run_id}",
            before={"state": run.state},
            after={"state": RunState.EMPTY},
            reason="nothing is due",
        )
    tx.wake(START_RUNS)


async def begin(tx: Transaction, draft: InvoiceDrafted, of: Sequence[runs.Run]) -> None:
    """Keep the draft as the invoice of these runs, and ask tax. The first run leads."""
    await invoices.add_invoice(tx, draft, of[0].run_id)
    for run in of:
        await runs.attach_invoice(tx, run, draft.invoice_id)
        drafted = await runs.move(tx, run, RunState.DRAFTED)
        await runs.move(tx, drafted, RunState.TAX_REQUESTED)
    await tx.publish(draft, id=drafted_event_id(draft))
    await tx.record(
        "invoice.drafted",
        draft.subject(),
        after={
            "run_id": of[0].run_id,
            "revision": draft.revision,
            "lines": len(draft.lines),
            "net": f"{draft.net:f}",
            "currency": draft.currency,
        },
    )
