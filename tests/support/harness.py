"""Delivers events to a service's handlers on a real database and shows what the service published.

The path is the consumer's own: envelope, inbox, one transaction. Only Kafka is left out; the bus
suite has that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import TypeVar

from shared.contracts import registry
from shared.contracts.envelope import Envelope, Event
from shared.kernel.clock import FrozenClock
from shared.kernel.ids import derived_id
from shared.runtime.consumer import Consumer, Outcome
from shared.runtime.dead_letters import Limits
from shared.runtime.handlers import Handlers
from shared.runtime.kafka import Message, Partition, Subscription
from shared.runtime.postgres import Database

E = TypeVar("E", bound=Event)
START = datetime(2026, 4, 1, tzinfo=UTC)

OUTBOX = "SELECT headers, value FROM outbox WHERE id > $1 ORDER BY id"
LAST = "SELECT coalesce(max(id), 0) FROM outbox"


@dataclass
class Harness:
    """One service's handlers on one database, at a time that stands still."""

    database: Database
    clock: FrozenClock
    handlers: Handlers

    def __post_init__(self) -> None:
        subscription = Subscription({}, group="unused", client_id="unused")
        never = Limits(consecutive=10_000, ratio_percent=100)
        self._consumer = Consumer(self.database, subscription, self.handlers, limits=never)
        self._offsets = count()

    async def deliver(self, event: Event, *, id: str | None = None) -> Outcome:
        """Hand over one event. Equal events have equal ids unless `id` says otherwise."""
        return await self._consumer.handle(self.message(event, id=id))

    def message(self, event: Event, *, id: str | None = None) -> Message:
        envelope = Envelope(
            id=id or derived_id("harness", event.TYPE, event.encode().hex()),
            source="/tieout/harness",
            type=event.TYPE,
            subject=event.subject(),
            time=self.clock.now(),
            key=event.key(),
            correlation_id="harness",
            content_type=event.CONTENT_TYPE,
        )
        partition = Partition(event.TOPIC, 0)
        headers = tuple(envelope.headers())
        return Message(partition, next(self._offsets), event.key(), event.encode(), headers)

    async def published(self, kind: type[E], *, after: int = 0) -> list[E]:
        """Events of one class in the outbox, oldest first."""
        return [event for event in await self.outbox(after=after) if isinstance(event, kind)]

    async def outbox(self, *, after: int = 0) -> list[Event]:
        """Everything in the outbox but audit records and announcements of dead letters."""
        async with self.database.read() as reader:
            rows = await reader.fetch(OUTBOX, after)
        events = []
        for row in rows:
            envelope = Envelope.from_headers((n, text.encode()) for n, text in row["headers"])
            announced = any(name == "dlq_reason" for name, _ in row["headers"])
            if not announced and "audit-recorded" not in envelope.type:
                events.append(registry.decode(envelope, row["value"]))
        return events

    async def mark(self) -> int:
        """A position in the outbox, for `after`."""
        async with self.database.read() as reader:
            return int(await reader.fetchval(LAST))


@asynccontextmanager
async def opened(
    dsn: str, service: str, *, clock: FrozenClock | None = None
) -> AsyncIterator[Database]:
    """A database handle of a service on a migrated database."""
    database = Database(dsn, service=service, clock=clock or FrozenClock(START), pool_size=6)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
