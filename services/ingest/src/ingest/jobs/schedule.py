"""The daily sync. A day that was missed is made up for by the next one: records overlap."""

from __future__ import annotations

from ingest.handlers import SYNCS
from ingest.handlers.context import Accounts, Context
from ingest.store import syncs
from shared.kernel.ids import derived_id
from shared.kernel.periods import utc_day


async def sync_when_due(accounts: Accounts) -> bool:
    """Ask for the daily sync of every account that is due for one."""
    asked = [await _sync_when_due(context) for context in accounts]
    return any(asked)


async def _sync_when_due(context: Context) -> bool:
    """Ask for a sync on each new UTC day, once an operator has asked for the first one.

    The first sync divides history from news, so it is never started by the clock.
    """
    if not context.choices.daily_sync:
        return False
    account = context.account
    async with context.database.transaction(actor="schedule") as tx:
        last = await syncs.last_requested_at(tx, account.id)
        today = utc_day(tx.now)
        if last is None or utc_day(last) >= today:
            return False
        sync_id = derived_id("daily-sync", account.tenant_id, today)
        await syncs.add_sync(tx, sync_id, account_id=account.id)
        tx.wake(context.job(SYNCS))
    return True
