"""Sweeps: who asked for one, how far it got, what it cost and found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psa_connector.domain.connection import Connection
from psa_connector.store.connections import connection_of
from shared.runtime.postgres import Reader, Record, Transaction

LEASE_S = 300.0  # a step reads some hundred contracts; longer than all its retries

ADD = """
INSERT INTO sweep (id, connection_id, state, requested_by, requested_at)
VALUES ($1, $2, 'pending', $3, $4)
ON CONFLICT (connection_id) WHERE state <> 'done' DO NOTHING
"""
OPEN = "SELECT * FROM sweep WHERE connection_id = $1 AND state <> 'done'"
# A connection is read back a while after it was made, and then at its interval.
DUE = """
SELECT c.id FROM connection c
WHERE coalesce((SELECT max(s.requested_at) FROM sweep s WHERE s.connection_id = c.id),
               c.changed_at)
      + make_interval(hours => coalesce((c.settings ->> 'sweep_hours')::integer, $2)) <= $1
  AND coalesce((c.settings ->> 'sweep_hours')::integer, $2) > 0
  AND NOT EXISTS (SELECT FROM sweep o WHERE o.connection_id = c.id AND o.state <> 'done')
  AND EXISTS (SELECT FROM intent i WHERE i.connection_id = c.id)
ORDER BY c.id
"""
CLAIM = """
UPDATE sweep SET state = 'running', started_at = coalesce(started_at, $2), attempt = attempt + 1,
                 lease_until = clock_timestamp() + $1 * interval '1 second'
WHERE id = (SELECT s.id FROM sweep s JOIN connection c ON c.id = s.connection_id
            WHERE s.state <> 'done' AND s.lease_until <= clock_timestamp()
              AND s.not_before <= clock_timestamp() AND c.paused_until <= clock_timestamp()
            ORDER BY s.requested_at, s.id LIMIT 1 FOR UPDATE OF s SKIP LOCKED)
RETURNING *
"""
CONNECTION = "SELECT * FROM connection WHERE id = $1"
HOLDS_LEASE = "SELECT true FROM sweep WHERE id = $1 AND attempt = $2 FOR UPDATE"
ADVANCE = """
UPDATE sweep SET cursor = $2, targets = targets + $3, records = records + $4, calls = calls + $5,
                 found = found + $6, skipped = skipped + $7, failures = 0, detail = NULL,
                 lease_until = 'epoch', not_before = 'epoch'
WHERE id = $1
"""
FINISH = """
UPDATE sweep SET state = 'done', finished_at = $2, lease_until = 'epoch', detail = NULL
WHERE id = $1
"""
WAIT = """
UPDATE sweep SET lease_until = 'epoch', failures = failures + 1, detail = $3, calls = calls + $4,
                 not_before = clock_timestamp() + $5 * interval '1 second'
WHERE id = $1 AND attempt = $2
"""
GET = "SELECT * FROM sweep WHERE id = $1"
LIST = """
SELECT * FROM sweep
WHERE ($1::text IS NULL OR connection_id = $1) AND (requested_at, id) < ($2, $3)
ORDER BY requested_at DESC, id DESC LIMIT $4
"""
COUNT_OPEN = "SELECT count(*) FROM sweep WHERE state <> 'done'"


@dataclass(frozen=True, slots=True)
class Sweep:
    """One row."""

    id: str
    connection_id: str
    state: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cursor: str
    targets: int
    records: int
    calls: int
    found: int
    skipped: int
    failures: int
    detail: str | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step read and found."""

    cursor: str
    targets: int
    records: int
    calls: int
    found: int
    skipped: int


async def request(tx: Transaction, id: str, connection_id: str, *, by: str) -> Sweep:
    """A new sweep, or the one that is not done yet."""
    await tx.execute(ADD, id, connection_id, by, tx.now)
    row = await tx.fetchrow(OPEN, connection_id)
    if row is None:
        raise RuntimeError("a sweep that was just requested is open")
    return sweep_of(row)


async def due(reader: Reader, now: datetime, every: timedelta) -> list[str]:
    """Connections whose time has come."""
    rows = await reader.fetch(DUE, now, int(every.total_seconds() // 3600))
    return [row["id"] for row in rows]


async def claim(tx: Transaction) -> tuple[Sweep, Connection] | None:
    """The right to do the next step of some sweep."""
    row = await tx.fetchrow(CLAIM, LEASE_S, tx.now)
    if row is None:
        return None
    connection = await tx.fetchrow(CONNECTION, row["connection_id"])
    if connection is None:
        raise RuntimeError("connections are kept")
    return sweep_of(row), connection_of(connection)


async def holds_lease(tx: Transaction, sweep: Sweep) -> bool:
    return await tx.fetchval(HOLDS_LEASE, sweep.id, sweep.attempt) is True


async def advance(tx: Transaction, sweep: Sweep, by: Progress) -> None:
    await tx.execute(
        ADVANCE, sweep.id, by.cursor, by.targets, by.records, by.calls, by.found, by.skipped
    )


async def finish(tx: Transaction, sweep: Sweep) -> None:
    await tx.execute(FINISH, sweep.id, tx.now)


async def wait(tx: Transaction, sweep: Sweep, *, detail: str, calls: int, seconds: float) -> None:
    """The step failed; it is tried again from where the last one ended."""
    await tx.execute(WAIT, sweep.id, sweep.attempt, detail, calls, seconds)


async def get(reader: Reader, id: str) -> Sweep | None:
    row = await reader.fetchrow(GET, id)
    return None if row is None else sweep_of(row)


async def listing(
    reader: Reader, *, connection_id: str | None, before: tuple[datetime, str], limit: int
) -> list[Sweep]:
    """Newest first."""
    rows = await reader.fetch(LIST, connection_id, *before, limit)
    return [sweep_of(row) for row in rows]


async def count_open(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_OPEN))


def sweep_of(row: Record) -> Sweep:
    return Sweep(**{name: row[name] for name in Sweep.__slots__})
