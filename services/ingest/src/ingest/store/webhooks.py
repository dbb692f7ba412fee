"""Webhook deliveries: stored before they are answered, once each, with what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest.domain.webhooks import Notification
from shared.runtime.postgres import Reader, Record, Transaction

PENDING, IGNORED, QUARANTINED = "pending", "ignored", "quarantined"

INSERT_DELIVERY = """
INSERT INTO webhook_delivery (id, event_name, customer_id, subscription_id, invoice_id,
                              audit_record_id, changed_at, body, state, outcome, received_at,
                              account_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (id) DO UPDATE SET receptions = webhook_delivery.receptions + 1
RETURNING receptions
"""
PENDING_DELIVERIES = """
SELECT d.id, d.subscription_id, d.audit_record_id, d.changed_at, r.record_id IS NOT NULL AS read
FROM webhook_delivery d LEFT JOIN audit_record r
     ON r.account_id = d.account_id AND r.record_id = d.audit_record_id
WHERE d.account_id = $1 AND d.subscription_id = ANY($2::text[]) AND d.state = 'pending'
ORDER BY d.received_at, d.id
"""
SETTLE_DELIVERIES = """
UPDATE webhook_delivery SET state = 'done', outcome = $2, handled_at = $3
WHERE id = ANY($1::text[]) AND state = 'pending'
"""
FIND_DELIVERIES = """
SELECT id, event_name, customer_id, subscription_id, audit_record_id, changed_at, state, outcome,
       receptions, received_at, handled_at, body
FROM webhook_delivery
WHERE account_id = $1 AND (id = $2 OR ($3::text IS NOT NULL AND audit_record_id = $3))
ORDER BY received_at, id
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification that nobody has acted on yet."""

    id: str
    subscription_id: str
    audit_record_id: str | None
    changed_at: datetime | None
    read: bool = False  # its activity record is stored already


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to become of a delivery that has just come."""

    state: str
    words: str | None = None


ACTED_UPON = Outcome(PENDING)


async def keep_delivery(
    tx: Transaction,
    notification: Notification,
    body: bytes,
    *,
    account_id: str,
    outcome: Outcome = ACTED_UPON,
) -> bool:
    """Store a notification. False: it is a repeat, and that is noted."""
    receptions = await tx.fetchval(
        INSERT_DELIVERY,
        notification.id,
        notification.event_name,
        notification.customer_id,
        notification.subscription_id,
        notification.invoice_id,
        notification.audit_record_id,
        notification.changed_at,
        body,
        outcome.state,
        outcome.words,
        tx.now,
        account_id,
    )
    return int(receptions) == 1


async def pending_deliveries(
    reader: Reader, account_id: str, subscription_ids: Sequence[str]
) -> dict[str, list[Delivery]]:
    """What has come to an account for subscriptions and waits for a look, oldest first."""
    found: dict[str, list[Delivery]] = {key: [] for key in subscription_ids}
    for row in await reader.fetch(PENDING_DELIVERIES, account_id, list(subscription_ids)):
        found[row["subscription_id"]].append(Delivery(**dict(row)))
    return found


async def settle_deliveries(tx: Transaction, ids: Sequence[str], outcome: str) -> None:
    await tx.execute(SETTLE_DELIVERIES, list(ids), outcome, tx.now)


async def find_deliveries(
    reader: Reader, account_id: str, *, delivery_id: str | None, audit_record_id: str | None
) -> list[Record]:
    """The delivery with this id, and those that named this record."""
    return await reader.fetch(FIND_DELIVERIES, account_id, delivery_id, audit_record_id)
