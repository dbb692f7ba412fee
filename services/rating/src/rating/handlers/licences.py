"""Changes of licence subscriptions are rated at once; purchases soon after, together."""

from __future__ import annotations

from rating.handlers.rating_usage import CONCLUDE
from rating.handlers.settling import settle_subscription
from rating.store import due, facts, locks
from rating.store.due import DueKind
from shared.contracts.ingest import ProviderPurchaseRecorded, SubscriptionChanged
from shared.runtime.postgres import Transaction


async def on_subscription_changed(event: SubscriptionChanged, tx: Transaction) -> None:
    """Keep the change; log it, prorate it, and correct cycles that closed without it."""
    await locks.hold_customers(tx, [event.customer_id])
    if await facts.add_change(tx, event):
        await settle_subscription(tx, event.customer_id, event.subscription_id)


async def on_purchase_recorded(event: ProviderPurchaseRecorded, tx: Transaction) -> None:
    """Keep the purchase; a job charges it with whatever else of the customer has come by then.

    An invoice may bring hundreds of purchases at once, and a new version of its data set may
    correct older ones: to compare all for each of them would cost the square of their number.
    """
    await locks.hold_customers(tx, [event.customer_id])
    if await facts.add_purchase(tx, event):
        await due.make_due(tx, DueKind.SETTLE, [event.customer_id])
        tx.wake(CONCLUDE)
