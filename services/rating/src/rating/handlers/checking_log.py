"""Checks continuously that the License Change Log, our changes and the provider agree."""

from __future__ import annotations

from rating.domain.log_invariant import REASON, log_differs
from rating.store import facts, holds, locks, log_sums
from rating.store.holds import Place
from shared.runtime import telemetry
from shared.runtime.postgres import Database, Transaction

CUSTOMERS_AT_ONCE = 500


class LogCheck:
    """Walks over all customers, round after round; a restart begins a round anew."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = ""

    async def step(self) -> bool:
        """Check some customers. False at the end of a round."""
        async with self._database.read() as reader:
            names = await log_sums.customers(reader, after=self._after, limit=CUSTOMERS_AT_ONCE)
            found = await log_sums.of_customers(reader, names) if names else []
        for one in found:
            if one.known or not one.agree:
                async with self._database.transaction() as tx:
                    await _check(tx, one.customer_id, one.subscription_id)
        if len(names) == CUSTOMERS_AT_ONCE:
            self._after = names[-1]
            return True
        self._after = ""
        async with self._database.read() as reader:
            telemetry.LICENCE_LOG_DIFFERS.set(await log_sums.count_open(reader, REASON))
        return False


async def _check(tx: Transaction, customer_id: str, subscription_id: str) -> None:
    """Once more while nothing moves; a log that agrees again is released."""
    await locks.hold_customers(tx, [customer_id])
    sums = await log_sums.of_subscription(tx, customer_id, subscription_id)
    contracts = (await facts.contracts_of(tx, [customer_id]))[customer_id]
    line = (await facts.timelines(tx, customer_id, subscription_id))[subscription_id]
    hold = log_differs(contracts, line, sums.logged, waits=sums.waits)
    place = Place(f"log/{subscription_id}", customer_id=customer_id)
    await holds.replace_holds(tx, place, [hold] if hold else [])
