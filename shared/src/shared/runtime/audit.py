"""The hash-chained audit trail: written in the transaction of the change, published to the bus.

`hash = SHA-256(prev_hash ‖ canonical JSON of the record)`; canonical means sorted keys, no white
space, UTF-8, fractional numbers as strings. A chain has no gaps: `seq` counts from 1 and the row of
`audit_head` is locked while a link is added. Who can rewrite the whole chain and its head still
meets the copies that were published.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import JsonValue

from shared.contracts.audit import AuditRecorded, audit_event_class
from shared.runtime.connection import Connection, Reader, json_text

GENESIS = "0" * 64

LOCK_HEAD = "SELECT seq, hash FROM audit_head FOR UPDATE"
ADD_LINKS = """
WITH moved AS (UPDATE audit_head SET seq = $1, hash = $2)
INSERT INTO audit (seq, at, actor, action, object, before, after, reason,
                   correlation_id, causation_id, prev_hash, hash)
SELECT seq, at, actor, action, object, before::jsonb, after::jsonb, reason,
       correlation_id, causation_id, prev_hash, hash
FROM unnest($3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
    AS link (seq, at, actor, action, object, before, after, reason,
             correlation_id, causation_id, prev_hash, hash)
"""
READ_CHAIN = "SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT 1000"
READ_HEAD = "SELECT seq, hash FROM audit_head"
PUBLISHED_OTHERWISE = """
WITH published AS MATERIALIZED (
    SELECT convert_from(value, 'UTF8')::jsonb AS copy FROM outbox
    WHERE topic LIKE 'tieout.%.audit.v1' AND value IS NOT NULL
)
SELECT min((copy ->> 'seq')::bigint)
FROM published LEFT JOIN audit ON seq = (copy ->> 'seq')::bigint
WHERE hash IS DISTINCT FROM copy ->> 'hash'
"""
LIST_RECORDS = """
SELECT * FROM audit
WHERE ($1::text IS NULL OR object = $1)
  AND ($2::timestamptz IS NULL OR at >= $2)
  AND ($3::timestamptz IS NULL OR at < $3)
  AND seq > $4
ORDER BY seq LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, with who and why, before it becomes a link."""

    action: str
    object: str
    before: JsonValue
    after: JsonValue
    reason: str | None
    at: datetime
    actor: str
    correlation_id: str
    causation_id: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a verification; `broken_at` is the first `seq` that does not hold."""

    links: int
    broken_at: int | None
    reason: str | None

    @property
    def intact(self) -> bool:
        return self.broken_at is None


async def append(
    connection: Connection, entries: Sequence[Entry], *, service: str
) -> list[AuditRecorded]:
    """Add links to the chain; returns them as events to publish, one per entry."""
    event_class = audit_event_class(service)
    head = await connection.fetchrow(LOCK_HEAD)
    if head is None:
        raise RuntimeError("audit_head has no row: the schema was not migrated")
    seq, previous = int(head["seq"]), str(head["hash"])
    links = []
    for entry in entries:
        seq += 1
        fields = _fields(seq, entry)
        digest = _digest(previous, fields)
        links.append(event_class(**fields, service=service, prev_hash=previous, hash=digest))
        previous = digest
    rows = [
        (
            link.seq, link.at, link.actor, link.action, link.object, json_text(link.before),
            json_text(link.after), link.reason, link.correlation_id, link.causation_id,
            link.prev_hash, link.hash,
        )
        for link in links
    ]  # fmt: skip
    await connection.execute(ADD_LINKS, seq, previous, *zip(*rows, strict=True))
    return links


async def verify(reader: Reader) -> Verdict:
    """Walk the whole chain from its beginning; compare it with its head and its published copies.

    `reader` must see one state of the database throughout (`Database.snapshot`): records that are
    added meanwhile would look like tampering.
    """
    seq, previous = 0, GENESIS
    async for row in _chain(reader):
        expected = seq + 1
        if row["seq"] != expected:
            return Verdict(seq, expected, f"record {expected} is missing")
        if row["prev_hash"] != previous:
            return Verdict(seq, expected, f"record {expected} does not follow record {seq}")
        if _digest(previous, {name: row[name] for name in _HASHED}) != row["hash"]:
            return Verdict(seq, expected, f"record {expected} was altered")
        seq, previous = expected, row["hash"]
    return await _compare(reader, seq, previous)


async def _compare(reader: Reader, seq: int, last_hash: str) -> Verdict:
    """A chain that is consistent in itself may still be another one than was written."""
    head = await reader.fetchrow(READ_HEAD)
    if head is None or head["seq"] > seq:
        return Verdict(seq, seq + 1, f"record {seq + 1} is missing at the end")
    other = await reader.fetchval(PUBLISHED_OTHERWISE)
    if other is not None:
        return Verdict(seq, other, f"record {other} is not the one that was published")
    if head["seq"] < seq:
        added = head["seq"] + 1
        return Verdict(seq, added, f"record {added} was added behind the head")
    if head["hash"] != last_hash:
        return Verdict(seq, seq, f"record {seq} is not the one the head names")
    return Verdict(seq, None, None)


async def _chain(reader: Reader) -> AsyncIterator[Any]:
    last = 0
    while rows := await reader.fetch(READ_CHAIN, last):
        for row in rows:
            yield row
        last = rows[-1]["seq"]


_HASHED = (
    "seq", "at", "actor", "action", "object", "before", "after", "reason",
    "correlation_id", "causation_id",
)  # fmt: skip


def _fields(seq: int, entry: Entry) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "before": _jsonable(entry.before),
        "after": _jsonable(entry.after),
        "reason": entry.reason,
        "correlation_id": entry.correlation_id,
        "causation_id": entry.causation_id,
    }


def _jsonable(value: JsonValue) -> JsonValue:
    """What jsonb will give back, so that the digest of a stored record can be repeated."""
    return _without_fractions(orjson.loads(orjson.dumps(value, default=str)))


def _without_fractions(value: JsonValue) -> JsonValue:
    """jsonb spells 1e16 and -0.0 its own way; text stays as it is."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {name: _without_fractions(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_fractions(inner) for inner in value]
    return value


def _digest(previous: str, fields: dict[str, Any]) -> str:
    at: datetime = fields["at"]
    plain = {**fields, "at": at.astimezone(UTC).isoformat(timespec="microseconds")}
    text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(previous.encode() + text).hexdigest()
