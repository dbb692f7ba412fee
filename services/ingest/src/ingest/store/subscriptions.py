"""The mirror of subscriptions, the snapshots it was read from, and the steps published from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest.domain.chains import Link
from ingest.domain.changes import Known, Step
from ingest.domain.snapshots import (
    Scheduled,
    Snapshot,
    State,
    read_scheduled,
    state_from_json,
    state_to_json,
)
from shared.runtime.postgres import Reader, Record, Transaction

MOST_STEPS = 200

FIND_MIRROR = "SELECT * FROM subscription WHERE subscription_id = $1"
LOCK_MIRROR = "SELECT * FROM subscription WHERE subscription_id = $1 FOR UPDATE"
# The steps after the first, which is the start of the history; the newest when there are many.
STEPS_OF = """
SELECT * FROM (
    SELECT version, before, after, placed_at, audit_record_id, change_id, estimated_time
    FROM subscription_step s
    WHERE subscription_id = $1 AND NOT EXISTS (
        SELECT FROM subscription_step truth
        WHERE truth.subscription_id = s.subscription_id AND truth.supersedes = s.change_id)
    ORDER BY version DESC LIMIT $2
) newest ORDER BY placed_at, version
"""
INSERT_SNAPSHOT = """
INSERT INTO subscription_snapshot (subscription_id, observed_at, resource)
VALUES ($1, $2, $3) RETURNING id
"""
INSERT_STEP = """
INSERT INTO subscription_step (subscription_id, version, change_id, kind, quantity_before,
    quantity_after, before, after, effective_at, placed_at, detected_at, estimated_time, channel,
    audit_record_id, webhook_id, actor, snapshot_id, supersedes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""
INSERT_MIRROR = """
INSERT INTO subscription (subscription_id, customer_id, licence, state, start_state, started_at,
    scheduled_quantity, resource, version, snapshot_id, observed_at, read_at, first_seen_at,
    account_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (subscription_id) DO NOTHING
RETURNING true
"""
UPDATE_MIRROR = """
UPDATE subscription
SET customer_id = $2, licence = $3, state = $4, scheduled_quantity = $5, resource = $6,
    version = $7, snapshot_id = $8, observed_at = $9, read_at = $10
WHERE subscription_id = $1
"""
STATES_OF_CUSTOMER = """
SELECT subscription_id, state FROM subscription WHERE account_id = $1 AND customer_id = $2
"""
KNOWN_SUBSCRIPTIONS = """
SELECT subscription_id FROM subscription
WHERE account_id = $1 AND subscription_id = ANY($2::text[])
"""
LIST_SUBSCRIPTIONS = """
SELECT * FROM subscription
WHERE subscription_id > $1 AND ($2::text IS NULL OR customer_id = $2)
  AND ($3::text IS NULL OR account_id = $3)
ORDER BY subscription_id LIMIT $4
"""
ALL_STEPS = """
SELECT * FROM subscription_step WHERE subscription_id = $1 ORDER BY effective_at, version
"""
ACCOUNT_OF = "SELECT account_id FROM subscription WHERE subscription_id = $1"
FIND_STEP = "SELECT * FROM subscription_step WHERE change_id = $1"
SNAPSHOTS_AROUND = """
(SELECT id, observed_at, resource FROM subscription_snapshot
 WHERE subscription_id = $1 AND id < $2 ORDER BY id DESC LIMIT 1)
UNION ALL
SELECT id, observed_at, resource FROM subscription_snapshot WHERE id = $2
"""


@dataclass(frozen=True, slots=True)
class Mirror:
    """What we hold of a subscription."""

    account_id: str
    state: State
    known: Known
    version: int
    snapshot_id: int
    read_at: datetime
    last_step_at: datetime
    scheduled: Scheduled


@dataclass(frozen=True, slots=True)
class Observation:
    """A snapshot with the circumstances it was read in."""

    snapshot: Snapshot
    account_id: str  # who was told
    observed_at: datetime  # business time
    read_at: datetime  # the database's time before the provider was asked


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a step rests on besides its record."""

    change_id: str
    version: int
    channel: str
    webhook_id: str | None
    snapshot_id: int


async def find_mirror(reader: Reader, subscription_id: str, *, lock: bool = False) -> Mirror | None:
    """The mirror with the steps published so far; `lock` keeps others from moving it."""
    row = await reader.fetchrow(LOCK_MIRROR if lock else FIND_MIRROR, subscription_id)
    if row is None:
        return None
    steps = await reader.fetch(STEPS_OF, subscription_id, MOST_STEPS)
    links = tuple(
        Link(
            s["placed_at"],
            state_from_json(s["before"]),
            state_from_json(s["after"]),
            guess=s["change_id"] if s["estimated_time"] else None,
        )
        for s in steps
        if s["before"] is not None
    )
    complete = len(steps) < MOST_STEPS
    start = state_from_json(row["start_state"])
    known = Known(
        start=start if complete or links[0].found is None else links[0].found,
        started_at=row["started_at"] if complete else links[0].at,
        published=links,
        applied=frozenset(s["audit_record_id"] for s in steps if s["audit_record_id"]),
        scheduled_quantity=row["scheduled_quantity"],
    )
    state = state_from_json(row["state"])
    return Mirror(
        account_id=row["account_id"],
        state=state,
        known=known,
        version=row["version"],
        snapshot_id=row["snapshot_id"],
        read_at=row["read_at"],
        last_step_at=max((x.at for x in links), default=row["started_at"]),
        scheduled=read_scheduled(row["resource"], state),
    )


async def keep_snapshot(tx: Transaction, observation: Observation) -> int:
    snapshot = observation.snapshot
    number = await tx.fetchval(
        INSERT_SNAPSHOT, snapshot.subscription_id, observation.observed_at, dict(snapshot.resource)
    )
    return int(number)


async def keep_step(tx: Transaction, subscription_id: str, step: Step, evidence: Evidence) -> None:
    record = step.record
    await tx.execute(
        INSERT_STEP,
        subscription_id,
        evidence.version,
        evidence.change_id,
        step.kind.value,
        step.quantity_before,
        step.after.quantity,
        state_to_json(step.before) if step.before else None,
        state_to_json(step.after),
        step.effective_at,
        record.at if record else step.effective_at,
        tx.now,
        step.estimated,
        evidence.channel,
        record.key if record else None,
        evidence.webhook_id,
        record.actor if record else None,
        evidence.snapshot_id,
        step.supersedes,
    )


async def create_mirror(
    tx: Transaction, observation: Observation, *, start: State, started_at: datetime,
    version: int, snapshot_id: int,
) -> bool:  # fmt: skip
    """False: somebody else mirrored it in the meantime."""
    snapshot = observation.snapshot
    created = await tx.fetchval(
        INSERT_MIRROR,
        snapshot.subscription_id,
        snapshot.customer_id,
        snapshot.licence,
        state_to_json(snapshot.state),
        state_to_json(start),
        started_at,
        snapshot.scheduled.quantity,
        dict(snapshot.resource),
        version,
        snapshot_id,
        observation.observed_at,
        observation.read_at,
        tx.now,
        observation.account_id,
    )
    return created is True


async def move_mirror(
    tx: Transaction, observation: Observation, *, version: int, snapshot_id: int
) -> None:
    snapshot = observation.snapshot
    await tx.execute(
        UPDATE_MIRROR,
        snapshot.subscription_id,
        snapshot.customer_id,
        snapshot.licence,
        state_to_json(snapshot.state),
        snapshot.scheduled.quantity,
        dict(snapshot.resource),
        version,
        snapshot_id,
        observation.observed_at,
        observation.read_at,
    )


async def states_of_customer(reader: Reader, account_id: str, customer_id: str) -> dict[str, State]:
    """What an account sold to a customer; what others sold is not for it to miss."""
    rows = await reader.fetch(STATES_OF_CUSTOMER, account_id, customer_id)
    return {row["subscription_id"]: state_from_json(row["state"]) for row in rows}


async def account_of(reader: Reader, subscription_id: str) -> str | None:
    """The account that a subscription was seen through."""
    found: str | None = await reader.fetchval(ACCOUNT_OF, subscription_id)
    return found


async def known_subscriptions(reader: Reader, account_id: str, ids: Sequence[str]) -> set[str]:
    rows = await reader.fetch(KNOWN_SUBSCRIPTIONS, account_id, list(ids))
    return {row["subscription_id"] for row in rows}


async def list_subscriptions(
    reader: Reader, *, after: str, customer_id: str | None, account_id: str | None, limit: int
) -> list[Record]:
    return await reader.fetch(LIST_SUBSCRIPTIONS, after, customer_id, account_id, limit)


async def find_subscription(reader: Reader, subscription_id: str) -> Record | None:
    return await reader.fetchrow(FIND_MIRROR, subscription_id)


async def all_steps(reader: Reader, subscription_id: str) -> list[Record]:
    return await reader.fetch(ALL_STEPS, subscription_id)


async def find_step(reader: Reader, change_id: str) -> Record | None:
    return await reader.fetchrow(FIND_STEP, change_id)


async def snapshots_around(reader: Reader, step: Record) -> list[dict[str, Any]]:
    """The snapshot a step was derived from and the one before it."""
    rows = await reader.fetch(SNAPSHOTS_AROUND, step["subscription_id"], step["snapshot_id"])
    return [dict(row) for row in rows]
