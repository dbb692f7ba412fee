"""The outbox: events commit with the state they describe and reach the bus afterwards, in key
order.

Appending takes a transaction-scoped advisory lock on each key, so rows of one key get their
sequence in commit order. One relay per service publishes (an advisory lock elects it); it is woken
in process after a commit, by a coalesced NOTIFY for rows of other replicas, and by a poll as the
safety net. Rows are marked sent only after the broker has them and are kept so that a lost topic
can be republished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import asyncpg
import structlog

from shared.contracts.envelope import Envelope
from shared.kernel.errors import Invalid
from shared.runtime import telemetry
from shared.runtime.cancellation import end_if_cancelled
from shared.runtime.connection import Connection, Record, json_text
from shared.runtime.kafka import BusError, Producer

log = structlog.get_logger()

BATCH = 500
MAX_VALUE_BYTES = 900_000
POLL_S = 0.5
# The last one: a connection that ends in the instant in which a query goes out.
INTERRUPTIONS = (
    OSError, BusError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
)  # fmt: skip
NOTIFY_EVERY_S = 0.005
CHANNEL = "tieout_outbox"
RELAY_LOCK = 0x7E0CA7

# The locks are taken in the order of `$1`, all of them before the first id is drawn.
APPEND = """
WITH locked AS MATERIALIZED (
    SELECT count(pg_advisory_xact_lock(hashtextextended(place, 0)))
    FROM unnest($1::text[]) AS place
)
INSERT INTO outbox (topic, key, event_id, headers, value)
SELECT topic, key, event_id, headers::jsonb, value
FROM locked, unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
    WITH ORDINALITY AS row (topic, key, event_id, headers, value, number)
ORDER BY number
"""
UNSENT = """
SELECT id, topic, key, headers, value FROM outbox
WHERE sent_at IS NULL ORDER BY id LIMIT $1
"""
MARK_SENT = "UPDATE outbox SET sent_at = now() WHERE id = ANY($1::bigint[])"
COUNT_UNSENT = "SELECT count(*) FROM outbox WHERE sent_at IS NULL"
TAKE_LEAD = "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))"
NOTIFY = "SELECT pg_notify($1, current_schema())"
REPUBLISH = """
WITH again AS (
    UPDATE outbox SET sent_at = NULL
    WHERE sent_at IS NOT NULL AND topic = $1 AND created_at >= $2
    RETURNING id
)
SELECT count(*) FROM again
"""
PRUNE = "DELETE FROM outbox WHERE sent_at < now() - interval '35 days'"


@dataclass(frozen=True, slots=True)
class Row:
    """One message to publish; `headers` are `[name, value]` pairs in sending order."""

    topic: str
    key: str
    event_id: str
    headers: list[list[str]]
    value: bytes | None


def row_of(topic: str, envelope: Envelope, value: bytes) -> Row:
    """A message as it will be stored.

    Raises:
        Invalid: `event_too_large` for what the broker would refuse (it would block the relay).
    """
    if len(value) > MAX_VALUE_BYTES:
        raise Invalid("event_too_large", f"{envelope.type}: {len(value)} bytes > {MAX_VALUE_BYTES}")
    headers = [[name, text.decode()] for name, text in envelope.headers()]
    return Row(topic, envelope.key, envelope.id, headers, value)


async def append(connection: Connection, rows: Sequence[Row]) -> None:
    """Add messages in the caller's transaction, in this order, with one statement.

    Keys are locked in one order, so transactions that write once cannot wait for each other. Of
    two large ones that write several times and meet at two keys, Postgres ends one; its message or
    job is tried again.
    """
    await connection.execute(
        APPEND,
        sorted({f"{row.topic}/{row.key}" for row in rows}),
        [row.topic for row in rows],
        [row.key for row in rows],
        [row.event_id for row in rows],
        [json_text(row.headers) for row in rows],
        [row.value for row in rows],
    )


@dataclass(slots=True)
class RelayState:
    """What the relay has done, for `/activity`."""

    published: int = 0
    leading: bool = False


class Connects(Protocol):
    """The part of a database handle that a relay needs."""

    def dedicated(self) -> AbstractAsyncContextManager[Connection]:
        """A connection of its own, for the lead and for LISTEN."""
        ...


class Relay:
    """Publishes committed outbox rows. Run one per process; one per service leads at a time."""

    def __init__(self, database: Connects, producer: Producer) -> None:
        self._database = database
        self._producer = producer
        self._woken = asyncio.Event()
        self._notify = asyncio.Event()
        self.state = RelayState()

    def wake(self) -> None:
        """Call after a commit that published something."""
        self._woken.set()
        if not self.state.leading:
            self._notify.set()

    async def run(self) -> None:
        """Publish until cancelled. Trouble with the broker or the database is retried for ever."""
        while True:
            try:
                await self._lead()
            except INTERRUPTIONS as error:
                end_if_cancelled()
                log.warning("outbox.relay_interrupted", error=str(error))
                await asyncio.sleep(POLL_S)

    async def _lead(self) -> None:
        """Hold the lead on a connection of its own; without it, tell the leader of our rows."""
        async with self._database.dedicated() as connection:
            await connection.add_listener(CHANNEL, lambda *_: self._woken.set())
            try:
                while not await connection.fetchval(TAKE_LEAD, RELAY_LOCK):
                    await self._forward_wakes(connection)
                self.state.leading = True
                while True:
                    sent = await self._publish_batch(connection)
                    if sent < BATCH:
                        await self._wait()
            finally:
                self.state.leading = False

    async def _forward_wakes(self, connection: Connection) -> None:
        """One NOTIFY per few milliseconds, outside any business transaction."""
        try:
            async with asyncio.timeout(POLL_S):
                await self._notify.wait()
        except TimeoutError:
            return
        self._notify.clear()
        await connection.execute(NOTIFY, CHANNEL)
        await asyncio.sleep(NOTIFY_EVERY_S)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _publish_batch(self, connection: Connection) -> int:
        rows = await connection.fetch(UNSENT, BATCH)
        if not rows:
            return 0
        await self._deliver(rows)
        await connection.execute(MARK_SENT, [row["id"] for row in rows])
        self.state.published += len(rows)
        telemetry.OUTBOX_PUBLISHED.inc(len(rows))
        return len(rows)

    async def _deliver(self, rows: Sequence[Record]) -> None:
        """Hand everything to the broker and wait for all of it, also when some fails.

        The next try begins when nothing is under way any more, so it cannot overtake this one.
        """
        deliveries = []
        try:
            for row in rows:
                delivery = await self._producer.send(
                    row["topic"],
                    key=row["key"].encode(),
                    value=row["value"],
                    headers=[(name, text.encode()) for name, text in row["headers"]],
                )
                deliveries.append(delivery)
        except BusError:
            await asyncio.gather(*deliveries, return_exceptions=True)
            raise
        for outcome in await asyncio.gather(*deliveries, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
