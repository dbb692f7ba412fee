"""Plans facts that waited for a mapping, in the order they came."""

from __future__ import annotations

from psa_connector.handlers.planning import plan_source
from psa_connector.store import sources
from shared.runtime.postgres import Database


async def plan_next(database: Database) -> bool:
    """Plan one fact whose mapping is there now."""
    async with database.transaction() as look:
        found = await sources.next_plannable(look)
    if found is None:
        return False
    async with database.transaction(cause=found.cause) as tx:
        source = await sources.lock(tx, found.seq)
        if source.state in {"waiting", "blocked"}:
            await plan_source(tx, source, again=True)
    return True
