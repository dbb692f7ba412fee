"""A webhook: proven, then durable, then answered. What it means is found out afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingest.clients.certificates import Certificates
from ingest.domain.signature import read_signature_headers
from ingest.domain.webhooks import SUBSCRIPTION_UPDATED, Notification, read_notification
from ingest.handlers import CHECKS
from ingest.handlers.looking import WEBHOOK
from ingest.store import checks, quarantine, webhooks
from ingest.store.checks import Wanted
from ingest.store.quarantine import Quarantined
from shared.kernel.errors import Invalid
from shared.kernel.ids import derived_id, sha256_hex
from shared.runtime.postgres import Database
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

    database: Database
    certificates: Certificates
    refusals: Refusals


async def receive(reception: Reception, headers: Mapping[str, str], body: bytes) -> Received:
    """Prove and store one delivery.

    Raises:
        Invalid: it is not the provider's; the refusal is on the audit trail, or counted there.
        CertificateUnavailable: nothing is proven either way; the provider will send it again.
    """
    try:
        await reception.certificates.verify(read_signature_headers(headers), body)
    except Invalid as refusal:
        await _record(reception, refusal, body)
        raise
    database = reception.database
    try:
        notification = read_notification(body)
    except Invalid as unusable:
        return await _quarantine(database, body, unusable)
    return await _keep(database, notification, body)


async def _record(reception: Reception, refusal: Invalid, body: bytes) -> None:
    unrecorded = reception.refusals.admit()
    if unrecorded is None:
        return
    async with reception.database.transaction(actor="anonymous") as tx:
        await tx.record(
            "webhook.refused",
            f"webhook/{sha256_hex(body)[:32]}",
            after={"bytes": len(body), "unrecorded_before": unrecorded},
            reason=f"{refusal.code}: {refusal.detail}"[:500],
        )


async def _keep(database: Database, notification: Notification, body: bytes) -> Received:
    """Store it; a subscription event wakes a look. Others are evidence only."""
    acts = notification.event_name == SUBSCRIPTION_UPDATED
    state = webhooks.PENDING if acts else webhooks.IGNORED
    outcome = None if acts else "nothing to do"
    async with database.transaction(actor="provider", correlation_id=notification.id) as tx:
        fresh = await webhooks.keep_delivery(tx, notification, body, state=state, outcome=outcome)
        sub, customer = notification.subscription_id, notification.customer_id
        if fresh and acts and sub is not None and customer is not None:
            await checks.request_check(tx, Wanted(sub, customer), WEBHOOK)
            tx.wake(CHECKS)
    return Received(notification.id, ACCEPTED if fresh else REPEATED)


async def _quarantine(database: Database, body: bytes, unusable: Invalid) -> Received:
    """Signed and unusable: kept with its reason, so that a person can see what was sent."""
    delivery_id = derived_id("webhook-body", sha256_hex(body))
    notification = Notification(delivery_id, "unreadable", "", None)
    async with database.transaction(actor="provider", correlation_id=delivery_id) as tx:
        fresh = await webhooks.keep_delivery(
            tx, notification, body, state=webhooks.QUARANTINED, outcome=str(unusable)[:500]
        )
        if fresh:
            refused = [Quarantined(1, unusable.code, unusable.detail, body)]
            await quarantine.quarantine(tx, "webhook", delivery_id, refused)
    return Received(delivery_id, QUARANTINED, unusable.code)
