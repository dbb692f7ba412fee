"""Syncs: one run over all customers, a row each, so that a crash costs one customer's work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shared.runtime.postgres import Reader, Record, Transaction

LEASE_S = 60.0
OPEN = ("pending", "running")

INSERT_SYNC = """
INSERT INTO sync (id, account_id, state, requested_by, requested_at, due_at)
VALUES ($1, $4, 'pending', $2, $3, now())
"""
CLAIM_SYNC = """
UPDATE sync SET lease = $1, leased_until = now() + $2 * interval '1 second'
WHERE id = (
    SELECT id FROM sync
    WHERE account_id = $3 AND state = 'pending' AND due_at <= now()
      AND (leased_until IS NULL OR leased_until <= now())
    ORDER BY requested_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, attempts, lease, requested_at
"""
RENEW_SYNC = """
UPDATE sync SET leased_until = now() + $3 * interval '1 second'
WHERE id = $1 AND lease = $2 RETURNING true
"""
# Never waits for the work's own transaction; a lease that nobody holds is not lost (see exports).
BEAT_SYNC = """
WITH held AS (SELECT id FROM sync WHERE id = $1 AND lease = $2 FOR UPDATE SKIP LOCKED),
     renewed AS (
         UPDATE sync SET leased_until = now() + $3 * interval '1 second'
         FROM held WHERE sync.id = held.id)
SELECT lease IS NULL OR lease = $2 FROM sync WHERE id = $1
"""
START_SYNC = """
UPDATE sync SET state = 'running', customers = (
    SELECT count(*) FROM sync_customer WHERE sync_id = $1), reason = NULL, lease = NULL,
    leased_until = NULL
WHERE id = $1 AND lease = $2 RETURNING true
"""
RETRY_SYNC = """
UPDATE sync SET attempts = attempts + 1, reason = $3, due_at = now() + $4 * interval '1 second',
    state = CASE WHEN $5 THEN 'failed' ELSE state END, lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2
"""
ADD_SYNC_CUSTOMERS = """
INSERT INTO sync_customer (sync_id, customer_id, state, due_at)
SELECT $1, c, 'pending', now() FROM unnest($2::text[]) AS c
ON CONFLICT DO NOTHING
"""
COUNT_RECORDS = "UPDATE sync SET records = records + $2 WHERE id = $1"
KEEP_CUSTOMER = """
INSERT INTO customer (account_id, customer_id, name, resource, first_seen_at)
VALUES ($5, $1, $2, $3, $4)
ON CONFLICT (account_id, customer_id) DO UPDATE
SET name = EXCLUDED.name, resource = EXCLUDED.resource
"""
CLAIM_SYNC_CUSTOMER = """
UPDATE sync_customer SET lease = $1, leased_until = now() + $2 * interval '1 second'
WHERE (sync_id, customer_id) = (
    SELECT c.sync_id, c.customer_id FROM sync_customer c JOIN sync s ON s.id = c.sync_id
    WHERE s.account_id = $3 AND c.state = 'pending' AND s.state = 'running' AND c.due_at <= now()
      AND (c.leased_until IS NULL OR c.leased_until <= now())
    ORDER BY c.due_at, c.customer_id LIMIT 1 FOR UPDATE OF c SKIP LOCKED)
RETURNING sync_id, customer_id, attempts, lease, clock_timestamp() AS read_at
"""
HOLD_SYNC_CUSTOMER = """
SELECT true FROM sync_customer
WHERE sync_id = $1 AND customer_id = $2 AND lease = $3 FOR UPDATE
"""
BEAT_SYNC_CUSTOMER = """
WITH held AS (
         SELECT sync_id, customer_id FROM sync_customer
         WHERE sync_id = $1 AND customer_id = $2 AND lease = $3 FOR UPDATE SKIP LOCKED),
     renewed AS (
         UPDATE sync_customer c SET leased_until = now() + $4 * interval '1 second'
         FROM held WHERE (c.sync_id, c.customer_id) = (held.sync_id, held.customer_id))
SELECT lease IS NULL OR lease = $3 FROM sync_customer WHERE sync_id = $1 AND customer_id = $2
"""
FINISH_SYNC_CUSTOMER = """
UPDATE sync_customer SET state = 'done', reason = NULL, lease = NULL, leased_until = NULL
WHERE sync_id = $1 AND customer_id = $2 AND lease = $3
"""
COUNT_DIFFERING = "UPDATE sync SET differing = differing + $2 WHERE id = $1"
RETRY_SYNC_CUSTOMER = """
UPDATE sync_customer
SET attempts = attempts + 1, reason = $4, due_at = now() + $5 * interval '1 second',
    state = CASE WHEN $6 THEN 'failed' ELSE state END, lease = NULL, leased_until = NULL
WHERE sync_id = $1 AND customer_id = $2 AND lease = $3
"""
SWEPT = "UPDATE customer SET swept_at = $2 WHERE account_id = $3 AND customer_id = $1"
CLOSE_SYNCS = """
UPDATE sync s
SET finished_at = $1, reason = f.reason,
    state = CASE WHEN f.failed > 0 THEN 'failed' ELSE 'done' END
FROM (
    SELECT s.id, count(c.*) FILTER (WHERE c.state = 'failed') AS failed,
           count(c.*) FILTER (WHERE c.state = 'pending') AS open,
           string_agg(c.customer_id || ': ' || c.reason, '; ') FILTER (WHERE c.state = 'failed')
               AS reason
    FROM sync s LEFT JOIN sync_customer c ON c.sync_id = s.id
    WHERE s.account_id = $2 AND s.state = 'running' GROUP BY s.id) f
WHERE s.id = f.id AND f.open = 0 AND s.state = 'running'
RETURNING s.id, s.state, s.reason
"""
COUNT_OPEN_SYNCS = """
SELECT count(*) FROM sync WHERE account_id = $1 AND state IN ('pending', 'running')
"""
LAST_SYNC = "SELECT max(requested_at) FROM sync WHERE account_id = $1"
ACCOUNT = """
SELECT tenant_id, first_synced_at, records_until FROM provider_account WHERE account_id = $1
"""
OPEN_ACCOUNT = """
INSERT INTO provider_account (account_id, tenant_id, first_synced_at) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
"""
RECORDS_UNTIL = "UPDATE provider_account SET records_until = $2 WHERE account_id = $1"
LIST_SYNCS = """
SELECT id, account_id, state, requested_by, requested_at, finished_at, customers, differing,
       records, attempts, reason
FROM sync
WHERE $1::timestamptz IS NULL OR (requested_at, id) < ($1, $2)
ORDER BY requested_at DESC, id DESC LIMIT $3
"""
FIND_SYNC = """
SELECT id, account_id, state, requested_by, requested_at, finished_at, customers, differing,
       records, attempts, reason
FROM sync WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Sync:
    """A claimed run that has not listed its customers yet."""

    id: str
    attempts: int
    lease: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class CustomerSweep:
    """A claimed customer of a run."""

    sync_id: str
    customer_id: str
    attempts: int
    lease: str
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    tenant_id: str
    first_synced_at: datetime
    records_until: date | None


async def add_sync(tx: Transaction, sync_id: str, *, account_id: str) -> None:
    await tx.execute(INSERT_SYNC, sync_id, tx.actor, tx.now, account_id)


async def claim_sync(tx: Transaction, lease: str, *, account_id: str) -> Sync | None:
    row = await tx.fetchrow(CLAIM_SYNC, lease, LEASE_S, account_id)
    return Sync(**dict(row)) if row else None


async def renew_sync(tx: Transaction, sync: Sync) -> bool:
    return await tx.fetchval(RENEW_SYNC, sync.id, sync.lease, LEASE_S) is True


async def beat_sync(tx: Transaction, sync: Sync) -> bool:
    """Renew the lease beside the work; False when somebody else holds it."""
    return await tx.fetchval(BEAT_SYNC, sync.id, sync.lease, LEASE_S) is True


async def start_sync(tx: Transaction, sync: Sync) -> bool:
    """All customers are listed; their rows may be worked on."""
    return await tx.fetchval(START_SYNC, sync.id, sync.lease) is True


async def retry_sync(
    tx: Transaction, sync: Sync, *, reason: str, after_s: float, give_up: bool
) -> None:
    await tx.execute(RETRY_SYNC, sync.id, sync.lease, reason, after_s, give_up)


async def add_customers(
    tx: Transaction,
    sync: Sync,
    customers: Mapping[str, tuple[str, Mapping[str, Any]]],
    *,
    account_id: str,
) -> None:
    """Customers of a page, by id, with name and resource."""
    rows = [
        (key, name, dict(resource), tx.now, account_id)
        for key, (name, resource) in sorted(customers.items(), key=lambda item: item[0])
    ]
    await tx.executemany(KEEP_CUSTOMER, rows)
    await tx.execute(ADD_SYNC_CUSTOMERS, sync.id, sorted(customers))


async def count_records(tx: Transaction, sync: Sync, fresh: int) -> None:
    await tx.execute(COUNT_RECORDS, sync.id, fresh)


async def claim_customer(tx: Transaction, lease: str, *, account_id: str) -> CustomerSweep | None:
    row = await tx.fetchrow(CLAIM_SYNC_CUSTOMER, lease, LEASE_S, account_id)
    return CustomerSweep(**dict(row)) if row else None


async def hold_customer(tx: Transaction, sweep: CustomerSweep) -> bool:
    held = await tx.fetchval(HOLD_SYNC_CUSTOMER, sweep.sync_id, sweep.customer_id, sweep.lease)
    return held is True


async def beat_customer(tx: Transaction, sweep: CustomerSweep) -> bool:
    """Renew the lease beside the work; False when somebody else holds it."""
    place = (sweep.sync_id, sweep.customer_id, sweep.lease)
    return await tx.fetchval(BEAT_SYNC_CUSTOMER, *place, LEASE_S) is True


async def finish_customer(
    tx: Transaction, sweep: CustomerSweep, *, account_id: str, differing: int
) -> None:
    await tx.execute(FINISH_SYNC_CUSTOMER, sweep.sync_id, sweep.customer_id, sweep.lease)
    await tx.execute(SWEPT, sweep.customer_id, tx.now, account_id)
    if differing:
        await tx.execute(COUNT_DIFFERING, sweep.sync_id, differing)


async def retry_customer(
    tx: Transaction, sweep: CustomerSweep, *, reason: str, after_s: float, give_up: bool
) -> None:
    await tx.execute(
        RETRY_SYNC_CUSTOMER, sweep.sync_id, sweep.customer_id, sweep.lease, reason, after_s, give_up
    )


async def close_syncs(tx: Transaction, *, account_id: str) -> Sequence[Record]:
    """Runs whose customers are all through: done, or failed with the reasons."""
    return await tx.fetch(CLOSE_SYNCS, tx.now, account_id)


async def count_open_syncs(reader: Reader, *, account_id: str) -> int:
    return int(await reader.fetchval(COUNT_OPEN_SYNCS, account_id))


async def last_requested_at(reader: Reader, account_id: str) -> datetime | None:
    found: datetime | None = await reader.fetchval(LAST_SYNC, account_id)
    return found


async def find_account(reader: Reader, account_id: str) -> Account | None:
    row = await reader.fetchrow(ACCOUNT, account_id)
    return Account(**dict(row)) if row else None


async def open_account(tx: Transaction, account_id: str, *, tenant_id: str) -> None:
    """The first sync marks the beginning of what we call news."""
    await tx.execute(OPEN_ACCOUNT, account_id, tenant_id, tx.now)


async def records_pulled_until(tx: Transaction, account_id: str, day: date) -> None:
    await tx.execute(RECORDS_UNTIL, account_id, day)


async def list_syncs(
    reader: Reader, *, before: tuple[datetime, str] | None, limit: int
) -> list[Record]:
    at, key = before or (None, None)
    return await reader.fetch(LIST_SYNCS, at, key, limit)


async def find_sync(reader: Reader, sync_id: str) -> Record | None:
    return await reader.fetchrow(FIND_SYNC, sync_id)
