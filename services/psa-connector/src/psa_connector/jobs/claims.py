"""Hands claims to the writers of this process: one query for all that were woken together."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic

from psa_connector.store import queue
from psa_connector.store.queue import Claim, Pace
from shared.runtime.postgres import Database


class Claims:
    """A turn for each writer that asks, as long as there is work.

    Every event wakes all writers. A writer does not ask the database again when a query that began
    after it was woken has found everything there was.
    """

    def __init__(self, database: Database, pace: Pace) -> None:
        self._database = database
        self.pace = pace
        self._asking = asyncio.Lock()
        self._ready: deque[tuple[Claim, float]] = deque()
        self._writers = 0
        self._rounds = 0
        self._exhausted = 0  # the last round that found everything there was

    async def next(self) -> tuple[Claim, float] | None:
        """A claim and the monotonic second at which its lease ends."""
        arrived = self._rounds
        self._writers += 1
        try:
            await asyncio.sleep(0)  # let the others that were woken step up, too
            async with self._asking:
                if not self._ready and self._exhausted <= arrived:
                    await self._ask()
                return self._ready.popleft() if self._ready else None
        finally:
            self._writers -= 1

    async def _ask(self) -> None:
        self._rounds += 1
        limit, until = self._writers, monotonic() + self.pace.lease_s
        async with self._database.transaction() as tx:
            ids = await queue.claim(tx, self.pace, limit=limit)
            found = await queue.details(tx, ids, self.pace) if ids else []
        if len(ids) < limit:
            self._exhausted = self._rounds
        self._ready.extend((claim, until) for claim in found)
