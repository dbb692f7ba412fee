"""Changes of licence subscriptions are rated at once; purchases soon after, together."""

from __future__ import annotations

from rating.domain.allocations import Allocation
from rating.handlers.allocating import keep_allocation
from rating.handlers.rating_usage import CONCLUDE
from rating.handlers.settling import settle_subscription
from rating.store import allocations, due, facts, locks, schedules
from rating.store.due import DueKind
from shared.contracts.ingest import (
    ProviderPurchaseRecorded,
    RenewalScheduled,
    SubscriptionChanged,
)
from shared.runtime.postgres import Transaction


async def on_subscription_changed(event: SubscriptionChanged, tx: Transaction) -> None:
    """Keep the change; log it, prorate it, and correct cycles that closed without it."""
    await locks.hold_customers(tx, [event.customer_id])
    if await facts.add_change(tx, event):
        await settle_subscription(tx, event.customer_id, event.subscription_id)


async def on_renewal_scheduled(event: RenewalScheduled, tx: Transaction) -> None:
    """Keep it for the renewal desk; no charge depends on it before it happens."""
    await schedules.add_schedule(tx, event)


async def enter_allocation(tx: Transaction, wanted: Allocation) -> Allocation:
    """Keep an allocation and rate the subscription again for every site.

    The contracts are held first: one that arrives at the same time sees this fact, or is seen.

    Raises:
        Invalid, Conflict: what `keep_allocation` refuses.
    """
    contracts = sorted({site.contract_id for site in wanted.sites})
    for contract_id in contracts:
        await locks.hold_contract(tx, contract_id)
    name = wanted.subscription_id
    customers = await allocations.customers_concerned(tx, name, contracts)
    await locks.hold_customers(tx, customers)
    kept, is_news = await keep_allocation(tx, wanted)
    if is_news:
        for customer_id in sorted(customers):
            if name in await facts.timelines(tx, customer_id, name):
                await settle_subscription(tx, customer_id, name)
    return kept


async def on_purchase_recorded(event: ProviderPurchaseRecorded, tx: Transaction) -> None:
    """Keep the purchase; a job charges it with whatever else of the customer has come by then.

    An invoice may bring hundreds of purchases at once, and a new version of its data set may
    correct older ones: to compare all for each of them would cost the square of their number.
    """
    await locks.hold_customers(tx, [event.customer_id])
    if await facts.add_purchase(tx, event):
        await due.make_due(tx, DueKind.SETTLE, [event.customer_id])
        tx.wake(CONCLUDE)
