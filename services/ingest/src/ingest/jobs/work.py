"""The steps of the jobs: each claims one piece of work and says whether there was one."""

from __future__ import annotations

import asyncio

from ingest.handlers import CHECKS, EXPORTS, ORDERS, PRICE_SHEETS, SWEEPS, SYNCS
from ingest.handlers.context import Accounts, Context
from ingest.handlers.exporting import advance_export
from ingest.handlers.looking import look_at
from ingest.handlers.ordering import advance_order
from ingest.handlers.pricing import import_sheet
from ingest.handlers.sweeping import start_sync, sweep_customer
from ingest.store import checks, exports, leases, price_sheets, subscription_orders, syncs, webhooks
from shared.runtime.jobs import Work

LOOKS_AT_ONCE = 8
JOBS = (CHECKS, ORDERS, SYNCS, SWEEPS, EXPORTS, PRICE_SHEETS)


async def check_some(context: Context) -> bool | Work:
    """A few subscriptions side by side; each look is serial in itself."""
    async with context.database.transaction() as tx:
        lease, account_id = context.lease(tx.new_id()), context.account.id
        due = await checks.claim_checks(tx, lease, account_id=account_id, at_most=LOOKS_AT_ONCE)
        ids = [check.subscription_id for check in due]
        deliveries = await webhooks.pending_deliveries(tx, account_id, ids) if due else {}
    looks = (look_at(context, check, deliveries[check.subscription_id]) for check in due)
    # One look that breaks must not cancel the others: they would wait for their leases to run out.
    outcomes = await asyncio.gather(*looks, return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
    # Who asks during a look rings the bell, and a look that is to be repeated is due later.
    return Work.ALL_DONE if 0 < len(due) < LOOKS_AT_ONCE else bool(due)


async def order_next(context: Context) -> bool:
    async with context.database.transaction() as tx:
        order = await subscription_orders.claim_order(
            tx, context.lease(tx.new_id()), account_id=context.account.id
        )
    if order is not None:
        await advance_order(context, order)
    return order is not None


async def sync_next(context: Context) -> bool:
    async with context.database.transaction() as tx:
        sync = await syncs.claim_sync(tx, context.lease(tx.new_id()), account_id=context.account.id)
    if sync is not None:
        await start_sync(context, sync)
    return sync is not None


async def sweep_next(context: Context) -> bool:
    """The next customer of a sync; when there is none, syncs that are through are closed."""
    async with context.database.transaction() as tx:
        sweep = await syncs.claim_customer(
            tx, context.lease(tx.new_id()), account_id=context.account.id
        )
        closed = (
            [] if sweep is not None else await syncs.close_syncs(tx, account_id=context.account.id)
        )
        for row in closed:
            action = "sync.done" if row["state"] == "done" else "sync.failed"
            await tx.record(action, f"sync/{row['id']}", reason=row["reason"])
    if sweep is not None:
        await sweep_customer(context, sweep)
    return sweep is not None or bool(closed)


async def export_next(context: Context) -> bool:
    async with context.database.transaction() as tx:
        export = await exports.claim_export(
            tx, context.lease(tx.new_id()), account_id=context.account.id
        )
    if export is not None:
        await advance_export(context, export)
    return export is not None


async def import_next(context: Context) -> bool:
    async with context.database.transaction() as tx:
        claimed = await price_sheets.claim_import(
            tx, context.lease(tx.new_id()), account_id=context.account.id
        )
    if claimed is not None:
        await import_sheet(context, claimed)
    return claimed is not None


class Recovery:
    """Once, at the start: what an earlier process at this place held is free again.

    Without it the work of a process that was killed would wait for its leases to run out. Processes
    elsewhere are not touched; a process that is still ending loses its leases and commits nothing.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._done = False

    async def step(self) -> bool:
        if self._done:
            return False
        ours = self._accounts.default
        async with ours.database.transaction() as tx:
            place = f"{ours.choices.worker}/"
            freed = await leases.free(tx, place=place, ours=ours.lease(""))
            for context in self._accounts if freed else ():
                for kind in JOBS:
                    tx.wake(context.job(kind))
        self._done = True
        return freed > 0
