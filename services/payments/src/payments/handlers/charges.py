"""Who is charged, for what, and when an attempt may begin."""

from __future__ import annotations

from dataclasses import replace

import structlog
from pydantic import JsonValue

from payments.domain.attempt import OPEN, Attempt, State
from payments.domain.charge import NotCharged, payer
from payments.domain.profiles import Profile
from payments.store import attempts, billing
from payments.store.billing import Invoice
from shared.contracts.invoicing import InvoiceFinalised
from shared.kernel.errors import Conflict, NotFound
from shared.kernel.ids import derived_id
from shared.kernel.money import Money
from shared.runtime.postgres import Transaction

log = structlog.get_logger()

SEND = "send_attempts"


async def on_invoice_finalised(event: InvoiceFinalised, tx: Transaction) -> None:
    """Write the attempt down, to be sent as soon as this is committed; or why there is none."""
    invoice = Invoice(
        invoice_id=event.invoice_id,
        number=event.number,
        account_id=event.account_id,
        total=Money(event.total, event.currency),
        invoice_date=event.invoice_date,
        due_on=event.due_on,
    )
    if not await billing.add_invoice(tx, invoice):
        log.info("invoice.known", invoice_id=invoice.invoice_id)
        return
    found = payer(invoice.total, await billing.find_profile(tx, invoice.account_id))
    if not isinstance(found, NotCharged):
        await _begin(tx, invoice, found, seq=1, trigger="initial")
        return
    await attempts.add_not_charged(
        tx, invoice, attempt_id=_attempt_id(invoice, 1), seq=1, reason=found.reason
    )
    await tx.record(
        "invoice.not-charged", f"invoice/{invoice.invoice_id}", after={"reason": found.reason}
    )


async def charge_again(tx: Transaction, invoice_id: str) -> str:
    """Begin an attempt on request. Returns its id.

    Raises:
        NotFound: `invoice_unknown`.
        Conflict: `attempt_open` while an outcome is open, `invoice_paid`, or the reason why this
            invoice cannot be charged.
    """
    invoice = await billing.lock_invoice(tx, invoice_id)
    if invoice is None:
        raise NotFound("invoice_unknown", f"no final invoice {invoice_id} came here")
    states = await attempts.states_of_invoice(tx, invoice_id)
    if State.SUCCEEDED in states:
        raise Conflict("invoice_paid", f"invoice {invoice.number} is paid")
    if OPEN.intersection(states):
        raise Conflict("attempt_open", "the outcome of an attempt for this invoice is still open")
    found = payer(invoice.total, await billing.find_profile(tx, invoice.account_id))
    if isinstance(found, NotCharged):
        raise Conflict(found.reason, f"invoice {invoice.number} cannot be charged")
    return await _begin(tx, invoice, found, seq=len(states) + 1, trigger="manual")


async def keep_profile(tx: Transaction, profile: Profile) -> Profile:
    """How an account pays from now on. Invoices that are already final are not charged by it.

    A method that a decline has forbidden stays forbidden; another method starts afresh.
    """
    before = await billing.lock_profile(tx, profile.account_id)
    if before is not None and profile == replace(before, usable=True, unusable_reason=None):
        return before
    await billing.put_profile(tx, profile)
    await tx.record(
        "profile.kept",
        f"account/{profile.account_id}",
        before=None if before is None else _facts(before),
        after=_facts(profile),
    )
    return profile


async def _begin(
    tx: Transaction, invoice: Invoice, profile: Profile, *, seq: int, trigger: str
) -> str:
    attempt = Attempt(
        attempt_id=_attempt_id(invoice, seq),
        invoice_id=invoice.invoice_id,
        invoice_number=invoice.number,
        account_id=invoice.account_id,
        amount=invoice.total,
        provider=profile.provider,
        provider_customer_id=profile.provider_customer_id,
        provider_method_id=profile.provider_method_id,
        state=State.CREATED,
    )
    await attempts.add_attempt(tx, attempt, seq=seq, trigger=trigger)
    await tx.record(
        "attempt.created",
        f"payment/{attempt.attempt_id}",
        after={
            "invoice_id": invoice.invoice_id,
            "amount": f"{attempt.amount.amount:f}",
            "currency": attempt.amount.currency,
            "trigger": trigger,
        },
    )
    tx.wake(SEND)
    return attempt.attempt_id


def _attempt_id(invoice: Invoice, seq: int) -> str:
    """Derived, so that handling the invoice again would send the same idempotency key."""
    return derived_id("attempt", invoice.invoice_id, seq)


def _facts(profile: Profile) -> JsonValue:
    return {
        "provider": profile.provider,
        "provider_customer_id": profile.provider_customer_id,
        "provider_method_id": profile.provider_method_id,
        "usable": profile.usable,
    }
