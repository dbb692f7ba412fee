"""Whose turn it is: one writer per target, in plan order, across all replicas.

A claim leases targets for some seconds and commits before any request. A writer that dies leaves
SENDING behind; when its lease is over, the next claim finds it as UNKNOWN and reads back. `attempt`
fences a writer that comes back late: its verdict is no longer accepted.
"""

from __future__ import annotations

from dataclasses import dataclass

from psa_connector.domain.connection import Connection
from psa_connector.domain.intents import State
from psa_connector.store.connections import connection_of
from psa_connector.store.intents import Intent, intent_of
from shared.contracts.envelope import Envelope
from shared.runtime.postgres import Reader, Transaction

# One claim at a time: it counts what others hold. Claims are short, sending is not part of them.
ONE_CLAIM = "SELECT pg_advisory_xact_lock(hashtextextended('psa claim', 7))"
CLAIM = """
WITH head AS (
    SELECT DISTINCT ON (connection_id, target)
           id, connection_id, target, state, source_seq, ordinal
    FROM intent WHERE state NOT IN ('confirmed', 'superseded')
    ORDER BY connection_id, target, source_seq, ordinal
), busy AS (
    SELECT connection_id, CASE WHEN external_id IS NULL THEN lane ELSE name END AS lane
    FROM target WHERE lease_until > clock_timestamp()
), held AS (
    -- A first service may exist already that its subscription is not linked to yet.
    SELECT h.connection_id, t.lane, h.target FROM head h
    JOIN target t ON t.connection_id = h.connection_id AND t.name = h.target
    WHERE h.state IN ('sending', 'unknown') AND t.external_id IS NULL
), candidate AS (
    SELECT h.*, CASE WHEN t.external_id IS NULL THEN t.lane ELSE t.name END AS lane
    FROM head h
    JOIN target t ON t.connection_id = h.connection_id AND t.name = h.target
    JOIN connection c ON c.id = h.connection_id
    WHERE h.state IN ('planned', 'sending', 'unknown')
      AND t.lease_until <= clock_timestamp() AND t.not_before <= clock_timestamp()
      AND c.paused_until <= clock_timestamp()
), lane_head AS (
    SELECT DISTINCT ON (connection_id, lane) *
    FROM candidate k
    WHERE NOT EXISTS (SELECT FROM busy b
                      WHERE b.connection_id = k.connection_id AND b.lane = k.lane)
      AND NOT EXISTS (SELECT FROM held d
                      WHERE d.connection_id = k.connection_id AND d.lane = k.lane
                        AND d.target <> k.target)
    ORDER BY connection_id, lane, source_seq, ordinal
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY connection_id ORDER BY source_seq, ordinal)
              + (SELECT count(*) FROM busy b WHERE b.connection_id = l.connection_id) AS turn
    FROM lane_head l
), chosen AS (
    SELECT * FROM ranked WHERE turn <= $1 ORDER BY source_seq, ordinal LIMIT $2
), leased AS (
    UPDATE target t SET lease_until = clock_timestamp() + $3 * interval '1 second'
    FROM chosen c WHERE t.connection_id = c.connection_id AND t.name = c.target
)
UPDATE intent i SET
    attempt = i.attempt + 1,
    state = CASE i.state WHEN 'planned' THEN 'sending' ELSE 'unknown' END,
    state_since = CASE i.state WHEN 'unknown' THEN i.state_since ELSE $4 END,
    sent_at = CASE i.state WHEN 'planned' THEN clock_timestamp() ELSE i.sent_at END
FROM chosen c WHERE i.id = c.id
RETURNING i.id
"""
DETAILS = """
SELECT i.*, s.cause AS source_cause, s.checked AS source_checked,
       (SELECT count(*) FROM intent x WHERE x.source_seq = i.source_seq) AS of_source,
       coalesce(s.body ->> 'currency', '') AS source_currency,
       c.id AS connection__id, c.vendor AS connection__vendor, c.base_url AS connection__base_url,
       c.credentials AS connection__credentials, c.settings AS connection__settings,
       c.version AS connection__version,
       t.external_id AS service, t.failures,
       i.sent_at + $2 * interval '1 second' <= clock_timestamp() AS settled,
       p.external_id AS closes_external_id,
       (SELECT a.external_id FROM adoption a
        WHERE a.intent_id = i.id AND a.operation = i.operation) AS adopts,
       CASE WHEN t.external_id IS NULL AND t.lane <> t.name THEN
           (SELECT coalesce(array_agg(o.external_id), '{}') FROM target o
            WHERE o.connection_id = t.connection_id AND o.lane = t.lane
              AND o.external_id IS NOT NULL) END AS taken
FROM intent i
JOIN source s ON s.seq = i.source_seq
JOIN connection c ON c.id = i.connection_id
JOIN target t ON t.connection_id = i.connection_id AND t.name = i.target
LEFT JOIN intent p ON p.id = i.operation ->> 'closes'
WHERE i.id = $1
"""
SETTLE = """
UPDATE intent SET
    state = $3, reason = $4, detail = $5, state_since = $6,
    external_id = coalesce($7, external_id),
    request_hash = coalesce($8, request_hash),
    vendor_request_id = coalesce($9, vendor_request_id),
    answered = $10,
    sent_at = CASE WHEN $3 = 'unknown' AND state = 'sending' THEN clock_timestamp()
                   ELSE sent_at END,
    confirmed_at = CASE WHEN $3 = 'confirmed' THEN $6 ELSE confirmed_at END
WHERE id = $1 AND attempt = $2 AND state IN ('sending', 'unknown')
RETURNING true
"""
RELEASE = """
UPDATE target SET
    lease_until = 'epoch',
    not_before = clock_timestamp() + $3 * interval '1 second',
    failures = $4,
    external_id = coalesce($5, external_id)
WHERE connection_id = $1 AND name = $2
"""
GO_NOW = """
UPDATE target SET not_before = 'epoch', failures = 0 WHERE connection_id = $1 AND name = $2
"""
MOVING = """
SELECT EXISTS (SELECT FROM intent WHERE state IN ('planned', 'sending', 'unknown'))
"""
# Tried again and again without an answer that decides.
STRUGGLING = """
SELECT DISTINCT ON (i.connection_id, i.target) i.*
FROM intent i
JOIN target t ON t.connection_id = i.connection_id AND t.name = i.target
WHERE i.state IN ('planned', 'sending', 'unknown') AND t.failures >= $1
ORDER BY i.connection_id, i.target, i.source_seq, i.ordinal
LIMIT $2
"""
# Heads that will move by themselves; what waits for a person is not work.
COUNT_MOVING = """
SELECT count(*) FROM (
    SELECT DISTINCT ON (connection_id, target) state FROM intent
    WHERE state NOT IN ('confirmed', 'superseded')
    ORDER BY connection_id, target, source_seq, ordinal
) head WHERE state IN ('planned', 'sending', 'unknown')
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to deliver one intent until the lease is over, and what is needed for it."""

    intent: Intent
    connection: Connection
    cause: Envelope
    currency: str
    checked: bool  # preflight passed for this source
    of_source: int  # intents of the same source, this one included
    settled: bool  # long enough since the last request for its absence to be final
    service: str | None  # the PSA's id of the service, once known
    taken: frozenset[str]  # services of the contract that belong to other subscriptions
    closes_external_id: str | None
    failures: int
    adopts: str | None = None  # a line in the PSA to take over instead of making one

    @property
    def resolves(self) -> bool:
        """Only reading back is allowed: an earlier request may have arrived."""
        return self.intent.state is State.UNKNOWN


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a claim."""

    state: State
    reason: str | None = None
    detail: str | None = None
    external_id: str | None = None
    service: str | None = None
    request_hash: str | None = None
    vendor_request_id: str | None = None
    answered: bool = False
    wait_s: float = 0.0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How claims are shared out. Real seconds, not business time."""

    writers_per_connection: int = 3
    lease_s: float = 20.0
    settle_s: float = 10.0
    look_again_s: float = 2.0


async def claim(tx: Transaction, pace: Pace, *, limit: int) -> list[str]:
    """Lease up to `limit` targets whose first unfinished intent can move; returns intent ids."""
    await tx.fetchval(ONE_CLAIM)
    rows = await tx.fetch(CLAIM, pace.writers_per_connection, limit, pace.lease_s, tx.now)
    return [row["id"] for row in rows]


async def details(reader: Reader, ids: list[str], pace: Pace) -> list[Claim]:
    """Everything a writer needs to know about what it claimed.

    One by one: for an array of ids the statement would be planned anew each time, which costs more
    than all the rest.
    """
    rows = [row for id in ids for row in await reader.fetch(DETAILS, id, pace.settle_s)]
    return [
        Claim(
            intent=intent_of(row),
            connection=connection_of(row, "connection__"),
            cause=Envelope.from_headers((n, text.encode()) for n, text in row["source_cause"]),
            currency=row["source_currency"],
            checked=row["source_checked"],
            of_source=row["of_source"],
            settled=bool(row["settled"]),
            service=row["service"],
            taken=frozenset(row["taken"] or ()),
            closes_external_id=row["closes_external_id"],
            failures=row["failures"],
            adopts=row["adopts"],
        )
        for row in rows
    ]


async def settle(tx: Transaction, held: Claim, verdict: Settlement) -> bool:
    """Write down what became of a claim and give the target back.

    False when the lease was lost meanwhile: somebody else decides about this intent now.
    """
    intent = held.intent
    accepted = await tx.fetchval(
        SETTLE, intent.id, intent.attempt, verdict.state.value, verdict.reason, verdict.detail,
        tx.now, verdict.external_id, verdict.request_hash, verdict.vendor_request_id,
        verdict.answered,
    )  # fmt: skip
    if accepted is None:
        return False
    await tx.execute(
        RELEASE, intent.connection_id, intent.target, verdict.wait_s, verdict.failures,
        verdict.service,
    )  # fmt: skip
    return True


async def go_now(tx: Transaction, intent: Intent) -> None:
    """Forget a target's back-off."""
    await tx.execute(GO_NOW, intent.connection_id, intent.target)


async def struggling(reader: Reader, *, failures: int, limit: int) -> list[Intent]:
    """The first intents of targets that failed so many times in a row."""
    return [intent_of(row) for row in await reader.fetch(STRUGGLING, failures, limit)]


async def any_moving(reader: Reader) -> bool:
    """Whether a claim could find anything; cheaper than a claim."""
    return await reader.fetchval(MOVING) is True


async def count_moving(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_MOVING))
