"""The states of runs and invoices, and every step between them that may happen."""

from __future__ import annotations

from enum import StrEnum

from shared.kernel.errors import Conflict


class RunState(StrEnum):
    REQUESTED = "requested"  # accepted; starts when the contract's earlier dates are done
    RATING = "rating"  # CycleClosed is out; waiting for CycleRated and all its charges
    COLLECTED = "collected"  # complete; waits for the contracts on the same consolidated invoice
    DRAFTED = "drafted"  # lines are fixed
    TAX_REQUESTED = "tax_requested"  # InvoiceDrafted is out; waiting for tax
    FINALISED = "finalised"
    HELD = "held"  # waits with a reason for a fact or a person
    EMPTY = "empty"  # nothing was due; no invoice


class InvoiceState(StrEnum):
    DRAFT = "draft"
    TAX_HELD = "tax_held"
    FINALISED = "finalised"
    PAID = "paid"


class InvoiceKind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"  # the total is below zero: we owe the customer


RUN_STEPS = frozenset(
    {
        (RunState.REQUESTED, RunState.RATING),
        (RunState.REQUESTED, RunState.EMPTY),  # the contract was ended before the run started
        (RunState.RATING, RunState.RATING),  # asked again by an operator
        (RunState.RATING, RunState.DRAFTED),
        (RunState.RATING, RunState.COLLECTED),
        (RunState.COLLECTED, RunState.COLLECTED),
        (RunState.COLLECTED, RunState.RATING),
        (RunState.COLLECTED, RunState.DRAFTED),
        (RunState.COLLECTED, RunState.EMPTY),
        (RunState.COLLECTED, RunState.HELD),
        (RunState.HELD, RunState.COLLECTED),
        (RunState.RATING, RunState.EMPTY),
        (RunState.RATING, RunState.HELD),
        (RunState.DRAFTED, RunState.TAX_REQUESTED),
        (RunState.TAX_REQUESTED, RunState.FINALISED),
        (RunState.TAX_REQUESTED, RunState.HELD),
        (RunState.HELD, RunState.HELD),  # the reason changed
        (RunState.HELD, RunState.RATING),
        (RunState.HELD, RunState.DRAFTED),
        (RunState.HELD, RunState.EMPTY),
        (RunState.HELD, RunState.TAX_REQUESTED),
        (RunState.HELD, RunState.FINALISED),  # the answer came after the hold
    }
)

INVOICE_STEPS = frozenset(
    {
        (InvoiceState.DRAFT, InvoiceState.TAX_HELD),
        (InvoiceState.DRAFT, InvoiceState.FINALISED),
        (InvoiceState.TAX_HELD, InvoiceState.TAX_HELD),
        (InvoiceState.TAX_HELD, InvoiceState.DRAFT),
        (InvoiceState.TAX_HELD, InvoiceState.FINALISED),
        (InvoiceState.FINALISED, InvoiceState.PAID),
    }
)

RUN_DONE = frozenset({RunState.FINALISED, RunState.EMPTY})
INVOICE_ISSUED = frozenset({InvoiceState.FINALISED, InvoiceState.PAID})


def step_run(state: RunState, to: RunState) -> RunState:
    """`to`, if a run may go there from `state`.

    Raises:
        Conflict: `run_step_refused`.
    """
    if (state, to) not in RUN_STEPS:
        raise Conflict("run_step_refused", f"a run that is {state} does not become {to}")
    return to


def step_invoice(state: InvoiceState, to: InvoiceState) -> InvoiceState:
    """`to`, if an invoice may go there from `state`.

    Raises:
        Conflict: `invoice_step_refused`.
    """
    if (state, to) not in INVOICE_STEPS:
        raise Conflict("invoice_step_refused", f"an invoice that is {state} does not become {to}")
    return to
