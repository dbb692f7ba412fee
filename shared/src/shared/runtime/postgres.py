"""The database handle: a pool, read handles, and transactions that carry audit and outbox with
them.

`Reader` can only look; `Transaction` commits state, audit records and outbox rows together. Stores
take one of the two, so a read path cannot write by accident. Handlers and stores never commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any

import asyncpg
import orjson
from pydantic import JsonValue

from shared.contracts.envelope import Envelope, Event
from shared.kernel.clock import Clock
from shared.kernel.ids import derived_id, new_id
from shared.runtime import audit, outbox
from shared.runtime.connection import Connection, Reader, Record

__all__ = ["Commit", "Connection", "Database", "Reader", "Record", "Transaction", "schema_of"]

Committed = Callable[["Commit"], None]
OUTBOX_HELD_BYTES = 1_000_000
CLOSE_WITHIN_S = 10.0


class Commit:
    """What a committed transaction left to do: jobs to wake, and whether the relay has work."""

    def __init__(self) -> None:
        self.jobs: set[str] = set()
        self.published = 0


class Transaction(Reader):
    """State, audit and outbox of one unit of work; all of it commits or none of it.

    `cause` is the message being handled, if any; it supplies correlation and derives the ids of the
    events published here, so that handling it again publishes the same ids.
    """

    def __init__(
        self,
        connection: Connection,
        now: datetime,
        *,
        service: str,
        actor: str,
        cause: Envelope | None,
        correlation_id: str | None,
    ) -> None:
        super().__init__(connection, now)
        self.service = service
        self.actor = actor
        self.cause = cause
        self.correlation_id = (
            correlation_id or (cause.correlation_id if cause else None) or self.new_id()
        )
        self.commit = Commit()
        self._ordinal = 0
        self._audit: list[audit.Entry] = []
        self._outbox: list[outbox.Row] = []
        self._outbox_bytes = 0

    def new_id(self) -> str:
        """An id for an origin: a thing with no cause in the system."""
        return new_id(int(self.now.timestamp() * 1000))

    async def execute(self, sql: str, *args: object) -> str:
        return await self._connection.execute(sql, *args)

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        await self._connection.executemany(sql, rows)

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[Sequence[object]]
    ) -> None:
        """Binary COPY into a table of this service's schema."""
        await self._connection.copy_records_to_table(table, columns=columns, records=records)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what happens inside, and only that, when it raises."""
        await self._write_outbox()  # what is written later, inside, would be undone with it
        records, ordinal = len(self._audit), self._ordinal
        published, jobs = self.commit.published, set(self.commit.jobs)
        try:
            async with self._connection.transaction():
                yield
        except BaseException:
            del self._audit[records:]
            self._outbox.clear()
            self._outbox_bytes = 0
            self._ordinal = ordinal
            self.commit.published, self.commit.jobs = published, jobs
            raise

    async def publish(
        self, event: Event, *, id: str | None = None, occurred_at: datetime | None = None
    ) -> str:
        """Put an event into the outbox. Returns its id.

        Rows are written together when the transaction ends, or earlier where they are large.
        The id is derived from the cause, the type and how many events this cause published
        before; pass `id` where the fact itself has a better one.
        """
        if id is None:
            first = self.cause.id if self.cause else self.new_id()
            id = derived_id(self.service, first, event.TYPE, self._ordinal)
            self._ordinal += 1
        origin = (self.correlation_id, self.cause.id if self.cause else None)
        await self._put(event, id, occurred_at or self.now, origin)
        return id

    async def _put(
        self, event: Event, id: str, time: datetime, origin: tuple[str, str | None]
    ) -> None:
        correlation_id, causation_id = origin
        envelope = Envelope(
            id=id,
            source=f"/tieout/{self.service}",
            type=event.TYPE,
            subject=event.subject(),
            time=time,
            key=event.key(),
            correlation_id=correlation_id,
            causation_id=causation_id,
            content_type=event.CONTENT_TYPE,
        )
        await self.forward(outbox.row_of(event.TOPIC, envelope, event.encode()))

    async def forward(self, row: outbox.Row) -> None:
        """Put a message that is not a new event (a dead letter's announcement) into the outbox."""
        self.commit.published += 1
        self._outbox.append(row)
        self._outbox_bytes += len(row.value or b"")
        if self._outbox_bytes > OUTBOX_HELD_BYTES or len(self._outbox) >= outbox.BATCH:
            await self._write_outbox()

    async def _write_outbox(self) -> None:
        rows, self._outbox, self._outbox_bytes = self._outbox, [], 0
        if rows:
            await outbox.append(self._connection, rows)

    @contextmanager
    def caused_by(self, envelope: Envelope) -> Iterator[None]:
        """Handle a stored message inside this transaction as if it had just arrived."""
        cause, ordinal, correlation_id = self.cause, self._ordinal, self.correlation_id
        self.cause, self._ordinal, self.correlation_id = envelope, 0, envelope.correlation_id
        try:
            yield
        finally:
            self.cause, self._ordinal, self.correlation_id = cause, ordinal, correlation_id

    async def record(
        self,
        action: str,
        object: str,
        *,
        before: JsonValue = None,
        after: JsonValue = None,
        reason: str | None = None,
    ) -> None:
        """Add to the audit trail: who did what to which object, with the values that changed.

        Records are chained and written when the transaction ends, so that the chain's lock is held
        for the shortest time.
        """
        self._audit.append(
            audit.Entry(
                action=action,
                object=object,
                before=before,
                after=after,
                reason=reason,
                at=self.now,
                actor=self.actor,
                correlation_id=self.correlation_id,
                causation_id=self.cause.id if self.cause else None,
            )
        )

    def wake(self, job: str) -> None:
        """After commit, run this job at once instead of at its next tick."""
        self.commit.jobs.add(job)

    async def finish(self) -> None:
        """Write what was collected; called by `Database.transaction` right before commit.

        Locks are taken in this order everywhere: keys of events, the end of the audit trail, keys
        of audit records. Who holds the trail waits for nobody who wants it, and only those who add
        to the trail lock keys of audit records.
        """
        entries, self._audit = self._audit, []
        if entries:
            await self._write_outbox()
            links = await audit.append(self._connection, entries, service=self.service)
            for entry, link in zip(entries, links, strict=True):
                id = derived_id("audit", self.service, link.hash)
                await self._put(link, id, self.now, (entry.correlation_id, entry.causation_id))
        await self._write_outbox()


class Database:
    """The pool of one service's role; its search path is the service's schema."""

    def __init__(self, dsn: str, *, service: str, clock: Clock, pool_size: int = 8) -> None:
        self._dsn = dsn
        self._pool_size = pool_size
        self.service = service
        self.clock = clock
        self.on_commit: Committed = lambda commit: None
        self._pool: asyncpg.Pool[Record] | None = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=1,
            max_size=self._pool_size,
            init=_register_codecs,
            reset=_keep_session,
            **self._connection_options,
        )

    @property
    def _connection_options(self) -> dict[str, Any]:
        return {
            "command_timeout": 60,
            "server_settings": {
                "search_path": schema_of(self.service),
                "application_name": f"tieout-{self.service}",
                "timezone": "UTC",
                "idle_in_transaction_session_timeout": "120000",
            },
        }

    async def close(self) -> None:
        """Let what runs end, for a while; then cut its connections, which rolls it back."""
        if self._pool is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await self._pool.close()

    @property
    def pool(self) -> asyncpg.Pool[Record]:
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[asyncpg.Connection[Record]]:
        """A connection outside the pool, for session locks and LISTEN."""
        connection = await asyncpg.connect(self._dsn, **self._connection_options)
        try:
            await _register_codecs(connection)
            yield connection
        finally:
            with suppress(TimeoutError):  # it is cut then
                await connection.close(timeout=CLOSE_WITHIN_S)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reader]:
        async with self.pool.acquire() as connection:
            yield Reader(connection, self.clock.now())

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        """Like `read`, but everything read inside is of one moment, however long it takes."""
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Reader(connection, self.clock.now())

    @asynccontextmanager
    async def transaction(
        self,
        *,
        actor: str = "system",
        cause: Envelope | None = None,
        correlation_id: str | None = None,
    ) -> AsyncIterator[Transaction]:
        """One unit of work. Commits when the block ends, rolls back when it raises."""
        async with self.pool.acquire() as connection, connection.transaction():
            tx = Transaction(
                connection,
                self.clock.now(),
                service=self.service,
                actor=actor,
                cause=cause,
                correlation_id=correlation_id,
            )
            yield tx
            await tx.finish()
        self.on_commit(tx.commit)


def schema_of(service: str) -> str:
    """The Postgres schema of a service: its name with underscores."""
    return service.replace("-", "_")


async def _register_codecs(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value, default=str),
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def _keep_session(connection: Connection) -> None:
    """Pooled connections carry no session state to reset (locks and LISTEN have connections of
    their own), so a release costs no round trip."""
    del connection
