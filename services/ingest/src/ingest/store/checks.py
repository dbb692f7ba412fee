"""Looks at subscriptions: asked for by anybody, done by one worker at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.runtime.postgres import Reader, Record, Transaction

LEASE_S = 30.0

REQUEST_CHECK = """
INSERT INTO subscription_check (subscription_id, customer_id, channel, requested, due_at,
                                correlation_id, changed_at)
VALUES ($1, $2, $3, 1, now(), $4, $5)
ON CONFLICT (subscription_id) DO UPDATE
SET requested = subscription_check.requested + 1, customer_id = EXCLUDED.customer_id,
    channel = CASE WHEN subscription_check.requested > subscription_check.handled
                   THEN subscription_check.channel ELSE EXCLUDED.channel END,
    correlation_id = EXCLUDED.correlation_id, due_at = now(),
    failed = false, attempts = 0, looks = 0, reason = NULL, changed_at = EXCLUDED.changed_at
"""
CLAIM_CHECKS = """
UPDATE subscription_check SET lease = $1, leased_until = now() + $2 * interval '1 second'
WHERE subscription_id IN (
    SELECT subscription_id FROM subscription_check
    WHERE requested > handled AND NOT failed AND due_at <= now()
      AND (leased_until IS NULL OR leased_until <= now())
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING subscription_id, customer_id, channel, requested, looks, attempts, lease,
          correlation_id, clock_timestamp() AS read_at
"""
HOLD_LEASE = """
SELECT true FROM subscription_check WHERE subscription_id = $1 AND lease = $2 FOR UPDATE
"""
# Never waits for the look's own transaction; a lease that nobody holds is not lost (see exports).
BEAT_CHECK = """
WITH held AS (
         SELECT subscription_id FROM subscription_check
         WHERE subscription_id = $1 AND lease = $2 FOR UPDATE SKIP LOCKED),
     renewed AS (
         UPDATE subscription_check c SET leased_until = now() + $3 * interval '1 second'
         FROM held WHERE c.subscription_id = held.subscription_id)
SELECT lease IS NULL OR lease = $2 FROM subscription_check WHERE subscription_id = $1
"""
FINISH_CHECK = """
UPDATE subscription_check
SET handled = $3, looks = 0, attempts = 0, reason = NULL, lease = NULL, leased_until = NULL,
    changed_at = $4
WHERE subscription_id = $1 AND lease = $2
"""
LOOK_AGAIN = """
UPDATE subscription_check
SET looks = looks + 1, reason = $3, due_at = now() + $4 * interval '1 second',
    lease = NULL, leased_until = NULL, changed_at = $5
WHERE subscription_id = $1 AND lease = $2
"""
TRY_AGAIN = """
UPDATE subscription_check
SET attempts = attempts + 1, failed = $5, reason = $3,
    due_at = now() + $4 * interval '1 second', lease = NULL, leased_until = NULL, changed_at = $6
WHERE subscription_id = $1 AND lease = $2
"""
COUNT_OPEN_CHECKS = """
SELECT count(*) FROM subscription_check WHERE requested > handled AND NOT failed
"""
LIST_CHECKS = """
SELECT subscription_id, customer_id, channel,
       CASE WHEN failed THEN 'failed' WHEN requested = handled THEN 'done'
            WHEN leased_until > now() THEN 'running' ELSE 'pending' END AS state,
       looks, attempts, reason, changed_at
FROM subscription_check
WHERE subscription_id > $1 AND ($2::boolean IS NULL OR (requested > handled) = $2)
ORDER BY subscription_id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Check:
    """A claimed look: nobody else looks at this subscription until it ends or its lease does."""

    subscription_id: str
    customer_id: str
    channel: str
    requested: int
    looks: int
    attempts: int
    lease: str
    correlation_id: str
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription that somebody wants looked at."""

    subscription_id: str
    customer_id: str


async def request_check(tx: Transaction, wanted: Wanted, channel: str) -> None:
    await request_checks(tx, [wanted], channel)


async def request_checks(tx: Transaction, wanted: Iterable[Wanted], channel: str) -> None:
    """Ask for looks; what is asked during a look leads to another one after it."""
    rows = [
        (w.subscription_id, w.customer_id, channel, tx.correlation_id, tx.now)
        for w in sorted(set(wanted), key=lambda w: w.subscription_id)
    ]
    await tx.executemany(REQUEST_CHECK, rows)


async def claim_checks(tx: Transaction, lease: str, *, at_most: int) -> list[Check]:
    """Take some looks that are due; each is ours until it ends or its lease does."""
    rows = await tx.fetch(CLAIM_CHECKS, lease, LEASE_S, at_most)
    return [Check(**dict(row)) for row in rows]


async def hold_lease(tx: Transaction, check: Check) -> bool:
    """Whether the look is still ours; if so, it stays so until the transaction ends."""
    return await tx.fetchval(HOLD_LEASE, check.subscription_id, check.lease) is True


async def beat_check(tx: Transaction, check: Check) -> bool:
    """Renew the lease beside the work; False when somebody else holds it."""
    return await tx.fetchval(BEAT_CHECK, check.subscription_id, check.lease, LEASE_S) is True


async def finish_check(tx: Transaction, check: Check) -> None:
    await tx.execute(FINISH_CHECK, check.subscription_id, check.lease, check.requested, tx.now)


async def look_again(tx: Transaction, check: Check, *, after_s: float, reason: str) -> None:
    """What was seen is not settled; look once more a moment later."""
    await tx.execute(LOOK_AGAIN, check.subscription_id, check.lease, reason, after_s, tx.now)


async def try_again(
    tx: Transaction, check: Check, *, after_s: float, reason: str, give_up: bool
) -> None:
    """There was no answer to look at."""
    await tx.execute(
        TRY_AGAIN, check.subscription_id, check.lease, reason, after_s, give_up, tx.now
    )


async def count_open_checks(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_OPEN_CHECKS))


async def list_checks(
    reader: Reader, *, after: str, still_open: bool | None, limit: int
) -> list[Record]:
    return await reader.fetch(LIST_CHECKS, after, still_open, limit)
