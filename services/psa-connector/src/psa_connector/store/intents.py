"""The ledger of intents: what a PSA is asked for, each once, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psa_connector.domain.additions import OpenAddition
from psa_connector.domain.drafts import Planned
from psa_connector.domain.intents import State
from psa_connector.domain.mapping import Place
from psa_connector.domain.operations import (
    Addition,
    AdditionClose,
    Operation,
    OperationKind,
    ServiceAdjustment,
)
from psa_connector.store import operations
from psa_connector.store.sources import Source
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Reader, Record, Transaction

ADD_TARGET = """
INSERT INTO target (connection_id, name, lane) VALUES ($1, $2, $3)
ON CONFLICT (connection_id, name) DO UPDATE SET lane = EXCLUDED.lane
WHERE target.external_id IS NULL AND target.lane <> EXCLUDED.lane
"""
LOCK_TARGET = "SELECT name FROM target WHERE connection_id = $1 AND name = $2 FOR UPDATE"
# Planning again touches only what was never sent; a line that was adopted under this plan stays.
PUT = """
INSERT INTO intent (id, connection_id, key, target, kind, source_seq, ordinal, source_id,
                    contract_id, company_id, target_id, subscription_id, operation, stays_open,
                    state, reason, detail, planned_at, state_since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18)
ON CONFLICT (connection_id, key) DO UPDATE SET
    target = EXCLUDED.target, ordinal = EXCLUDED.ordinal, company_id = EXCLUDED.company_id,
    target_id = EXCLUDED.target_id,
    operation = coalesce((SELECT a.operation FROM adoption a
                          WHERE a.intent_id = intent.id AND a.planned = EXCLUDED.operation),
                         EXCLUDED.operation),
    stays_open = EXCLUDED.stays_open, state = EXCLUDED.state, reason = EXCLUDED.reason,
    detail = EXCLUDED.detail,
    state_since = CASE WHEN intent.state = EXCLUDED.state
                        AND intent.reason IS NOT DISTINCT FROM EXCLUDED.reason
                       THEN intent.state_since ELSE EXCLUDED.state_since END
WHERE intent.state IN ('planned', 'blocked', 'superseded')
"""
SUPERSEDE_OTHERS = """
UPDATE intent SET state = 'superseded', reason = NULL, detail = NULL, state_since = $4
WHERE source_seq = $1 AND state IN ('planned', 'blocked') AND amends IS NULL
  AND NOT (connection_id = $2 AND key = ANY($3::text[]))
"""
SET_CLOSED_BY = "UPDATE intent SET closed_by = $2 WHERE id = $1"
# A close that was superseded closes nothing; one of this very source may be planned again.
OPEN_ADDITIONS = """
SELECT i.id, i.source_id, i.subscription_id, i.operation ->> 'effective_on' AS effective_on
FROM intent i LEFT JOIN intent c ON c.id = i.closed_by
WHERE i.contract_id = $1 AND i.connection_id = $2 AND i.stays_open
  AND i.state <> 'superseded' AND i.source_seq <> $3
  AND (c.id IS NULL OR c.state = 'superseded' OR c.source_seq = $3)
ORDER BY i.source_seq, i.ordinal
"""
KNOWN = "SELECT key, state, reason FROM intent WHERE source_seq = $1 AND connection_id = $2"
STARTED_PLACE = """
SELECT connection_id, company_id, target_id FROM intent
WHERE source_seq = $1 AND state NOT IN ('planned', 'blocked', 'superseded')
LIMIT 1
"""
OF_SOURCE = """
SELECT * FROM intent
WHERE source_seq = $1 AND state NOT IN ('confirmed', 'superseded') AND amends IS NULL
ORDER BY ordinal
"""
ALL_OF_SOURCE = "SELECT * FROM intent WHERE source_seq = $1"
SERVICE_AT = """
SELECT t.external_id AS service,
       (SELECT coalesce(array_agg(o.external_id), '{}') FROM target o
        WHERE o.connection_id = t.connection_id AND o.lane = t.lane AND o.name <> t.name
          AND o.external_id IS NOT NULL) AS taken
FROM target t WHERE t.connection_id = $1 AND t.name = $2
"""
SERVICE = """
SELECT (SELECT external_id FROM target WHERE connection_id = $1 AND name = $2) AS service,
       coalesce(array_agg(o.external_id), '{}') AS taken
FROM target o
WHERE o.connection_id = $1 AND o.lane = $3 AND o.name <> $2 AND o.external_id IS NOT NULL
"""
GET = "SELECT * FROM intent WHERE id = $1"
LOCK = "SELECT * FROM intent WHERE id = $1 FOR UPDATE"
LIST = """
SELECT * FROM intent
WHERE ($1::text IS NULL OR state = $1)
  AND ($2::text IS NULL OR connection_id = $2)
  AND ($3::text IS NULL OR source_id = $3 OR starts_with(source_id, $3 || '/'))
  AND (source_seq, ordinal, id) > ($4, $5, $6)
ORDER BY source_seq, ordinal, id LIMIT $7
"""
# Companions of a blocked line say nothing new.
WAITING = """
SELECT * FROM intent
WHERE state IN ('blocked', 'rejected', 'drifted') AND reason IS DISTINCT FROM 'invoice_blocked'
ORDER BY state_since, id LIMIT $1
"""
REPLAN_ONE = """
UPDATE intent SET state = 'planned', reason = NULL, detail = NULL, answered = false,
                  state_since = $2
WHERE id = $1
"""
BLOCK_SOURCE = """
UPDATE intent SET state = 'blocked', reason = $2, detail = $3, state_since = $4
WHERE source_seq = $1 AND state IN ('planned', 'sending') AND amends IS NULL
"""


@dataclass(frozen=True, slots=True)
class Intent:
    """One row of the ledger."""

    id: str
    connection_id: str
    key: str
    target: str
    kind: OperationKind
    source_seq: int
    ordinal: int
    source_id: str
    contract_id: str
    place: Place
    subscription_id: str | None
    operation: Operation
    state: State
    reason: str | None
    detail: str | None
    attempt: int
    answered: bool
    external_id: str | None
    request_hash: str | None
    vendor_request_id: str | None
    planned_at: datetime
    state_since: datetime
    confirmed_at: datetime | None
    amends: str | None = None  # the intent whose record this one changes
    record_key: str | None = None
    drift_id: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What an intent was before planning it again."""

    state: str
    reason: str | None


async def put(
    tx: Transaction, source: Source, place: Place, planned: Sequence[Planned]
) -> list[str]:
    """Write a plan; returns the ids in its order. What is not in it any more is superseded."""
    targets = {(place.connection_id, item.target, lane_of(item, place)) for item in planned}
    await tx.executemany(ADD_TARGET, sorted(targets))
    ids = [intent_id(place.connection_id, item.key) for item in planned]
    rows = [
        _row(id, item, ordinal, source, place, tx.now)
        for ordinal, (id, item) in enumerate(zip(ids, planned, strict=True))
    ]
    await tx.executemany(PUT, rows)
    closes = [
        (item.draft.operation.closes, id)
        for id, item in zip(ids, planned, strict=True)
        if isinstance(item.draft.operation, AdditionClose)
    ]
    if closes:
        await tx.executemany(SET_CLOSED_BY, closes)
    return ids


async def supersede_others(
    tx: Transaction, source: Source, connection_id: str, keys: Iterable[str]
) -> None:
    """Give up what an earlier plan of this source wanted and the present one does not."""
    await tx.execute(SUPERSEDE_OTHERS, source.seq, connection_id, sorted(keys), tx.now)


async def lock_target(tx: Transaction, place: Place) -> None:
    """One planner at a time per agreement, so that an open addition is closed by one of them."""
    target = (place.connection_id, place.target_id)
    await tx.execute(ADD_TARGET, *target, place.target_id)
    await tx.fetchval(LOCK_TARGET, *target)


async def open_additions(reader: Reader, source: Source, connection_id: str) -> list[OpenAddition]:
    """Recurring additions of the contract that nothing closes yet, oldest first."""
    rows = await reader.fetch(OPEN_ADDITIONS, source.contract_id, connection_id, source.seq)
    return [
        OpenAddition(
            intent_id=row["id"],
            source_id=row["source_id"],
            subscription_id=row["subscription_id"],
            effective_on=datetime.fromisoformat(row["effective_on"]).date(),
        )
        for row in rows
    ]


async def known(reader: Reader, source: Source, connection_id: str) -> dict[str, Known]:
    """By key, what was planned for a source before."""
    rows = await reader.fetch(KNOWN, source.seq, connection_id)
    return {row["key"]: Known(row["state"], row["reason"]) for row in rows}


async def started_place(reader: Reader, source: Source) -> Place | None:
    """Where deliveries of this source have begun; the rest follows there, whatever the mapping."""
    row = await reader.fetchrow(STARTED_PLACE, source.seq)
    return None if row is None else Place(**row)


async def of_source(reader: Reader, seq: int) -> list[Intent]:
    """The unfinished intents of a source, in plan order."""
    return [intent_of(row) for row in await reader.fetch(OF_SOURCE, seq)]


async def by_key(reader: Reader, seq: int) -> dict[str, Intent]:
    """Everything that was planned for a source, by key."""
    return {row["key"]: intent_of(row) for row in await reader.fetch(ALL_OF_SOURCE, seq)}


async def service_of(
    reader: Reader, item: Planned, place: Place
) -> tuple[str | None, frozenset[str]]:
    """The service a subscription is linked to, and those that others of its product are."""
    target = (place.connection_id, item.target, lane_of(item, place))
    row = await reader.fetchrow(SERVICE, *target)
    return (None, frozenset()) if row is None else (row["service"], frozenset(row["taken"]))


async def service_at(reader: Reader, intent: Intent) -> tuple[str | None, frozenset[str]]:
    """The same for what is planned already."""
    row = await reader.fetchrow(SERVICE_AT, intent.connection_id, intent.target)
    return (None, frozenset()) if row is None else (row["service"], frozenset(row["taken"]))


async def get(reader: Reader, id: str) -> Intent | None:
    row = await reader.fetchrow(GET, id)
    return None if row is None else intent_of(row)


async def lock(tx: Transaction, id: str) -> Intent | None:
    row = await tx.fetchrow(LOCK, id)
    return None if row is None else intent_of(row)


async def listing(
    reader: Reader,
    *,
    state: str | None,
    connection_id: str | None,
    source_id: str | None,
    after: tuple[int, int, str],
    limit: int,
) -> list[Intent]:
    """Intents in plan order; an invoice's number finds all its lines."""
    rows = await reader.fetch(LIST, state, connection_id, source_id, *after, limit)
    return [intent_of(row) for row in rows]


async def waiting(reader: Reader, *, limit: int) -> list[Intent]:
    """What waits for a person, oldest first."""
    return [intent_of(row) for row in await reader.fetch(WAITING, limit)]


async def plan_again(tx: Transaction, id: str) -> None:
    await tx.execute(REPLAN_ONE, id, tx.now)


async def block_source(tx: Transaction, seq: int, *, reason: str, detail: str) -> None:
    """Nothing of a source goes out, what was just taken for sending included."""
    await tx.execute(BLOCK_SOURCE, seq, reason, detail, tx.now)


def intent_id(connection_id: str, key: str) -> str:
    return derived_id("psa-intent", connection_id, key)


def intent_of(row: Record) -> Intent:
    return Intent(
        id=row["id"],
        connection_id=row["connection_id"],
        key=row["key"],
        target=row["target"],
        kind=OperationKind(row["kind"]),
        source_seq=row["source_seq"],
        ordinal=row["ordinal"],
        source_id=row["source_id"],
        contract_id=row["contract_id"],
        place=Place(row["connection_id"], row["company_id"], row["target_id"]),
        subscription_id=row["subscription_id"],
        operation=operations.from_row(row["kind"], row["operation"]),
        state=State(row["state"]),
        reason=row["reason"],
        detail=row["detail"],
        attempt=row["attempt"],
        answered=row["answered"],
        external_id=row["external_id"],
        request_hash=row["request_hash"],
        vendor_request_id=row["vendor_request_id"],
        planned_at=row["planned_at"],
        state_since=row["state_since"],
        confirmed_at=row["confirmed_at"],
        amends=row["amends"],
        record_key=row["record_key"],
        drift_id=row["drift_id"],
    )


def lane_of(item: Planned, place: Place) -> str:
    """First services of one product on a contract queue up; anything else is its own lane."""
    if isinstance(item.draft.operation, ServiceAdjustment):
        product = item.draft.operation.product
        return f"{place.target_id}/*{product.external_id or product.key}"
    return item.target


def _row(
    id: str, item: Planned, ordinal: int, source: Source, place: Place, now: datetime
) -> tuple[object, ...]:
    operation = item.draft.operation
    return (
        id, place.connection_id, item.key, item.target, item.kind.value, source.seq, ordinal,
        item.draft.source_id, source.contract_id, place.company_id, place.target_id,
        item.draft.subscription_id, operations.to_row(item.kind, operation),
        isinstance(operation, Addition) and operation.last_on is None,
        State.BLOCKED.value if item.block else State.PLANNED.value,
        item.block.reason.value if item.block else None,
        item.block.detail if item.block else None,
        now,
    )  # fmt: skip
