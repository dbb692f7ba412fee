"""Signed webhooks: kept durably first, acted on by reading the provider, never by trusting them."""

from __future__ import annotations

from datetime import timedelta

from payments.domain.attempt import Report, Source
from payments.handlers.outcomes import News, learn
from payments.store import attempts, billing
from payments.store.billing import ProviderEvent
from shared.kernel.errors import Invalid
from shared.kernel.ids import sha256_hex
from shared.runtime.postgres import Transaction

PROCESS = "process_events"

# What can change an attempt. `payment_intent.created` is left out: at that moment a payment looks
# like one that failed.
TYPES = frozenset(
    {
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
    }
)


async def received(tx: Transaction, event: ProviderEvent) -> bool:
    """Keep a verified event. False for a repeat."""
    relevant = event.type in TYPES and event.payment_id is not None
    new = await billing.add_event(tx, event, state="pending" if relevant else "ignored")
    if new and relevant:
        tx.wake(PROCESS)
    return new


async def refused(
    tx: Transaction, provider: str, body: bytes, refusal: Invalid, *, unrecorded: int
) -> None:
    """A webhook that cannot be believed leaves a trace, and nothing of its content."""
    await tx.record(
        "webhook.refused",
        f"webhook/{provider}",
        after={
            "code": refusal.code,
            "body_sha256": sha256_hex(body),
            "bytes": len(body),
            "unrecorded_before": unrecorded,
        },
        reason=refusal.detail,
    )


async def looked_up(
    tx: Transaction,
    event: ProviderEvent,
    *,
    report: Report | None,
    attempt_id: str | None,
    confirm_after: timedelta,
) -> None:
    """Act on what the provider says of an event's payment, and close the event.

    A payment without our metadata belongs to somebody else on the same account; one with an
    attempt we do not know, or that the provider denies, is for a person to look at.
    """
    kept = None if attempt_id is None else await attempts.lock(tx, attempt_id)
    if report is None or kept is None:
        foreign = report is not None and report.attempt_id is None
        await billing.close_event(tx, event, "foreign" if foreign else "unmatched")
        return
    news = News(report, Source.WEBHOOK, event.occurred_at)
    await learn(tx, kept, news=news, confirm_after=confirm_after)
    await billing.close_event(tx, event, "done")
