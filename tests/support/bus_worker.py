"""A consumer process that a test can kill: records each payment failure it handles as an effect."""

from __future__ import annotations

import asyncio
import sys

from shared.contracts.payments import PaymentFailed
from shared.runtime.clock import SystemClock
from shared.runtime.consumer import Consumer
from shared.runtime.handlers import Handlers
from shared.runtime.kafka import Subscription
from shared.runtime.postgres import Database, Transaction


async def record_effect(event: PaymentFailed, tx: Transaction) -> None:
    """The effect: one audit record, in the order of handling."""
    await tx.record("effect", event.account_id, after={"attempt": event.attempt_id})


HANDLERS: Handlers = {PaymentFailed: record_effect}


async def consume(dsn: str, bootstrap_servers: str, topic: str, group: str) -> None:
    database = Database(dsn, service="payments", clock=SystemClock(), pool_size=4)
    await database.open()
    options = {"bootstrap_servers": bootstrap_servers}
    subscription = Subscription(options, group=group, client_id="bus-worker", instance_id="0")
    await Consumer(database, subscription, HANDLERS, topics=[topic]).run()


if __name__ == "__main__":
    asyncio.run(consume(*sys.argv[1:5]))
