"""Changes of licence subscriptions and purchases: rated at once."""

from __future__ import annotations

from rating.handlers.settling import settle_customer, settle_subscription
from rating.store import facts, locks
from shared.contracts.ingest import ProviderPurchaseRecorded, SubscriptionChanged
from shared.runtime.postgres import Transaction


async def on_subscription_changed(event: SubscriptionChanged, tx: Transaction) -> None:
    """Keep the change; log it, prorate it, and correct cycles that closed without it."""
    await locks.hold_customers(tx, [event.customer_id])
    if await facts.add_change(tx, event):
        await settle_subscription(tx, event.customer_id, event.subscription_id)


async def on_purchase_recorded(event: ProviderPurchaseRecorded, tx: Transaction) -> None:
    """Keep the purchase and charge it. A new version of its data set may correct an older one."""
    await locks.hold_customers(tx, [event.customer_id])
    if await facts.add_purchase(tx, event):
        await settle_customer(tx, event.customer_id)
