"""Looks at subscriptions: asked for by anybody, done by one worker at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.runtime.postgres import Reader, Record, Transaction

LEASE_S = 30.0

REQUEST_CHECK = """
INSERT INTO subscription_check (account_id, subscription_id, customer_id, channel, requested,
                                due_at, correlation_id, changed_at)
VALUES ($6, $1, $2, $3, 1, now(), $4, $5)
ON CONFLICT (account_id, subscription_id) DO UPDATE
SET requested = subscription_check.requested + 1, customer_id = EXCLUDED.customer_id,
    channel = CASE WHEN subscription_check.requested > subscription_check.handled
                   THEN subscription_check.channel ELSE EXCLUDED.channel END,
    correlation_id = EXCLUDED.correlation_id, due_at = now(),
    failed = false, attempts = 0, looks = 0, reason = NULL, changed_at = EXCLUDED.changed_at
"""
CLAIM_CHECKS = """
UPDATE subscription_check SET lease = $1, leased_until = now() + $2 * interval '1 second'
WHERE account_id = $4 AND subscription_id IN (
    SELECT subscription_id FROM subscription_check
    WHERE account_id = $4 AND requested > handled AND NOT failed AND due_at <= now()
      AND (leased_until IS NULL OR leased_until <= now())
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING account_id, subscription_id, customer_id, channel, requested, looks, attempts, lease,
          correlation_id, clock_timestamp() AS read_at
"""
HOLD_LEASE = """
SELECT true FROM subscription_check
WHERE account_id = $1 AND subscription_id = $2 AND lease = $3 FOR UPDATE
"""
# Never waits for the look's own transaction; a lease that nobody holds is not lost (see exports).
BEAT_CHECK = """
WITH held AS (
         SELECT account_id, subscription_id FROM subscription_check
         WHERE account_id = $1 AND subscription_id = $2 AND lease = $3 FOR UPDATE SKIP LOCKED),
     renewed AS (
         UPDATE subscription_check c SET leased_until = now() + $4 * interval '1 second'
         FROM held WHERE c.account_id = held.account_id
           AND c.subscription_id = held.subscription_id)
SELECT lease IS NULL OR lease = $3 FROM subscription_check
WHERE account_id = $1 AND subscription_id = $2
"""
FINISH_CHECK = """
UPDATE subscription_check
SET handled = $4, looks = 0, attempts = 0, reason = NULL, lease = NULL, leased_until = NULL,
    changed_at = $5
WHERE account_id = $1 AND subscription_id = $2 AND lease = $3
"""
LOOK_AGAIN = """
UPDATE subscription_check
SET looks = looks + 1, reason = $4, due_at = now() + $5 * interval '1 second',
    lease = NULL, leased_until = NULL, changed_at = $6
WHERE account_id = $1 AND subscription_id = $2 AND lease = $3
"""
TRY_AGAIN = """
UPDATE subscription_check
SET attempts = attempts + 1, failed = $6, reason = $4,
    due_at = now() + $5 * interval '1 second', lease = NULL, leased_until = NULL, changed_at = $7
WHERE account_id = $1 AND subscription_id = $2 AND lease = $3
"""
COUNT_OPEN_CHECKS = """
SELECT count(*) FROM subscription_check
WHERE account_id = $1 AND requested > handled AND NOT failed
"""
LIST_CHECKS = """
SELECT account_id, subscription_id, customer_id, channel,
       CASE WHEN failed THEN 'failed' WHEN requested = handled THEN 'done'
            WHEN leased_until > now() THEN 'running' ELSE 'pending' END AS state,
       looks, attempts, reason, changed_at
FROM subscription_check
WHERE (subscription_id, account_id) > ($1, $2)
  AND ($3::boolean IS NULL OR (requested > handled) = $3)
ORDER BY subscription_id, account_id LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Check:
    """A claimed look: nobody else looks at this subscription until it ends or its lease does."""

    account_id: str
    subscription_id: str
    customer_id: str
    channel: str
    requested: int
    looks: int
    attempts: int
    lease: str
    correlation_id: str
    read_at: datetime

    @property
    def held(self) -> tuple[str, str, str]:
        return self.account_id, self.subscription_id, self.lease


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription that somebody wants looked at, and through which account."""

    subscription_id: str
    customer_id: str
    account_id: str


async def request_check(tx: Transaction, wanted: Wanted, channel: str) -> None:
    await request_checks(tx, [wanted], channel)


async def request_checks(tx: Transaction, wanted: Iterable[Wanted], channel: str) -> None:
    """Ask for looks; what is asked during a look leads to another one after it."""
    rows = [
        (w.subscription_id, w.customer_id, channel, tx.correlation_id, tx.now, w.account_id)
        for w in sorted(set(wanted), key=lambda w: (w.account_id, w.subscription_id))
    ]
    await tx.executemany(REQUEST_CHECK, rows)


async def claim_checks(
    tx: Transaction, lease: str, *, account_id: str, at_most: int
) -> list[Check]:
    """Take some looks that are due; each is ours until it ends or its lease does."""
    rows = await tx.fetch(CLAIM_CHECKS, lease, LEASE_S, at_most, account_id)
    return [Check(**dict(row)) for row in rows]


async def hold_lease(tx: Transaction, check: Check) -> bool:
    """Whether the look is still ours; if so, it stays so until the transaction ends."""
    return await tx.fetchval(HOLD_LEASE, *check.held) is True


async def beat_check(tx: Transaction, check: Check) -> bool:
    """Renew the lease beside the work; False when somebody else holds it."""
    return await tx.fetchval(BEAT_CHECK, *check.held, LEASE_S) is True


async def finish_check(tx: Transaction, check: Check) -> None:
    await tx.execute(FINISH_CHECK, *check.held, check.requested, tx.now)


async def look_again(tx: Transaction, check: Check, *, after_s: float, reason: str) -> None:
    """What was seen is not settled; look once more a moment later."""
    await tx.execute(LOOK_AGAIN, *check.held, reason, after_s, tx.now)


async def try_again(
    tx: Transaction, check: Check, *, after_s: float, reason: str, give_up: bool
) -> None:
    """There was no answer to look at."""
    await tx.execute(TRY_AGAIN, *check.held, reason, after_s, give_up, tx.now)


async def count_open_checks(reader: Reader, *, account_id: str) -> int:
    return int(await reader.fetchval(COUNT_OPEN_CHECKS, account_id))


async def list_checks(
    reader: Reader, *, after: tuple[str, str], still_open: bool | None, limit: int
) -> list[Record]:
    return await reader.fetch(LIST_CHECKS, *after, still_open, limit)
