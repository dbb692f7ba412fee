"""A webhook: proven, then durable, then answered. What it means is found out afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ingest.clients.certificates import Certificates
from ingest.domain.accounts import scoped_id
from ingest.domain.signature import read_signature_headers
from ingest.domain.webhooks import SUBSCRIPTION_UPDATED, Notification, read_notification
from ingest.handlers import CHECKS
from ingest.handlers.context import Context
from ingest.handlers.looking import WEBHOOK
from ingest.store import checks, quarantine, subscriptions, webhooks
from ingest.store.checks import Wanted
from ingest.store.quarantine import Quarantined
from ingest.store.webhooks import Outcome
from shared.kernel.errors import Invalid
from shared.kernel.ids import derived_id, sha256_hex
from shared.runtime.refusals import Refusals

ACCEPTED, REPEATED, QUARANTINED = "accepted", "repeated", "quarantined"


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a delivery."""

    id: str
    result: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reception:
    """What it takes to receive."""

    certificates: Certificates
    refusals: Refusals


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came to the receiver of an account."""

    headers: Mapping[str, str]
    body: bytes


async def receive(context: Context, reception: Reception, delivered: Delivered) -> Received:
    """Prove and store one delivery.

    Raises:
        Invalid: it is not the provider's; the refusal is on the audit trail, or counted there.
        CertificateUnavailable: nothing is proven either way; the provider will send it again.
    """
    body = delivered.body
    try:
        await reception.certificates.verify(read_signature_headers(delivered.headers), body)
    except Invalid as refusal:
        await _record(context, reception, refusal, body)
        raise
    try:
        notification = read_notification(body)
    except Invalid as unusable:
        unread = Notification(derived_id("webhook-body", sha256_hex(body)), "unreadable", "", None)
        return await _quarantine(context, _of(context, unread), body, unusable)
    return await _keep(context, _of(context, notification), body)


def _of(context: Context, notification: Notification) -> Notification:
    """One that came to the wrong receiver must not make the right one a repeat of it."""
    return replace(notification, id=scoped_id(context.account.id, notification.id))


async def _record(context: Context, reception: Reception, refusal: Invalid, body: bytes) -> None:
    unrecorded = reception.refusals.admit()
    if unrecorded is None:
        return
    async with context.database.transaction(actor="anonymous") as tx:
        await tx.record(
            "webhook.refused",
            f"webhook/{sha256_hex(body)[:32]}",
            after={"bytes": len(body), "unrecorded_before": unrecorded},
            reason=f"{refusal.code}: {refusal.detail}"[:500],
        )


async def _keep(context: Context, notification: Notification, body: bytes) -> Received:
    """Store it; a subscription event wakes a look. Others are evidence only."""
    sub, customer = notification.subscription_id, notification.customer_id
    acts = notification.event_name == SUBSCRIPTION_UPDATED
    outcome = webhooks.ACTED_UPON if acts else Outcome(webhooks.IGNORED, "nothing to do")
    async with context.database.transaction(actor="provider", correlation_id=notification.id) as tx:
        owner = await subscriptions.account_of(tx, sub) if sub is not None else None
        if owner in (None, context.account.id):
            fresh = await webhooks.keep_delivery(
                tx, notification, body, account_id=context.account.id, outcome=outcome
            )
            if fresh and acts and sub is not None and customer is not None:
                wanted = Wanted(sub, customer, context.account.id)
                await checks.request_check(tx, wanted, WEBHOOK)
                tx.wake(context.job(CHECKS))
            return Received(notification.id, ACCEPTED if fresh else REPEATED)
    words = f"it is about subscription {sub} of account {owner}, and came to {context.account.id}"
    misdirected = Invalid("webhook_of_another_account", words)
    return await _quarantine(context, notification, body, misdirected)


async def _quarantine(
    context: Context, notification: Notification, body: bytes, unusable: Invalid
) -> Received:
    """Signed and unusable: kept with its reason, so that a person can see what was sent."""
    key, outcome = notification.id, Outcome(webhooks.QUARANTINED, str(unusable)[:500])
    async with context.database.transaction(actor="provider", correlation_id=key) as tx:
        fresh = await webhooks.keep_delivery(
            tx, notification, body, account_id=context.account.id, outcome=outcome
        )
        if fresh:
            refused = [Quarantined(1, unusable.code, unusable.detail, body)]
            await quarantine.quarantine(tx, "webhook", key, refused)
    return Received(key, QUARANTINED, unusable.code)
