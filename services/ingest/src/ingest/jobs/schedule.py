"""The daily sync. A day that was missed is made up for by the next one: records overlap."""

from __future__ import annotations

from ingest.handlers import SYNCS
from ingest.handlers.context import Context
from ingest.store import syncs
from shared.kernel.ids import derived_id
from shared.kernel.periods import utc_day


async def sync_when_due(context: Context) -> bool:
    """Ask for a sync on each new UTC day, once an operator has asked for the first one.

    The first sync divides history from news, so it is never started by the clock.
    """
    if not context.choices.daily_sync:
        return False
    async with context.database.transaction(actor="schedule") as tx:
        last = await syncs.last_requested_at(tx)
        today = utc_day(tx.now)
        if last is None or utc_day(last) >= today:
            return False
        await syncs.add_sync(tx, derived_id("daily-sync", context.choices.account_id, today))
        tx.wake(SYNCS)
    return True
