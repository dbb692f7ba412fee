"""Drifts: one open row per object and kind, with what was wanted, last seen and found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psa_connector.domain.drift import Action, DriftKind, FieldDrift, Finding, Repair
from psa_connector.domain.operations import kind_of
from psa_connector.store import operations
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Reader, Record, Transaction

OPEN_OF_TARGETS = """
SELECT * FROM drift
WHERE connection_id = $1 AND target_id = ANY($2::text[]) AND state NOT IN ('healed', 'gone')
ORDER BY first_seen_at, id
"""
COUNT_EARLIER = """
SELECT count(*) FROM drift WHERE connection_id = $1 AND object = $2 AND kind = $3
"""
ADD = """
INSERT INTO drift (id, connection_id, target_id, contract_id, source_id, kind, object, external_id,
                   intent_id, fields, difference, repairs, edited_by, edited_at, evidence, action,
                   state, sweep_id, first_seen_at, last_seen_at, state_since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'reported', $17,
        $18, $18, $18)
RETURNING *
"""
FOUND_DIFFERENTLY = """
UPDATE drift SET
    fields = $2, difference = $3, repairs = $4, external_id = $5, edited_by = $6, edited_at = $7,
    evidence = $8, action = $9, revision = revision + 1, last_seen_at = $10, sweep_id = $11,
    detail = NULL
WHERE id = $1 RETURNING *
"""
FOUND_AGAIN = "UPDATE drift SET last_seen_at = $2, action = $3 WHERE id = $1 RETURNING *"
SET_STATE = """
UPDATE drift SET state = $2, detail = $3,
                 state_since = CASE WHEN state = $2 THEN state_since ELSE $4 END
WHERE id = $1
"""
GET = "SELECT * FROM drift WHERE id = $1"
LOCK = "SELECT * FROM drift WHERE id = $1 FOR UPDATE"
LIST = """
SELECT * FROM drift
WHERE ($1::text IS NULL OR state = $1)
  AND ($2::text IS NULL OR connection_id = $2)
  AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR contract_id = $4)
  AND (first_seen_at, id) > ($5, $6)
ORDER BY first_seen_at, id LIMIT $7
"""
# Foreign records are listed, and are nobody's task.
WAITING = """
SELECT * FROM drift
WHERE state IN ('waiting', 'failed') OR (state = 'reported' AND kind <> 'record_foreign')
ORDER BY state_since, id LIMIT $1
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """One row."""

    id: str
    connection_id: str
    target_id: str
    contract_id: str | None
    source_id: str | None
    kind: DriftKind
    object: str
    external_id: str | None
    intent_id: str | None
    fields: tuple[FieldDrift, ...]
    difference: Decimal | None
    repairs: tuple[Repair, ...]
    revision: int
    edited_by: str | None
    edited_at: str | None
    evidence: str | None
    action: Action
    state: str
    detail: str | None
    sweep_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    state_since: datetime


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a finding was made."""

    connection_id: str
    target_id: str
    sweep_id: str
    contract_id: str | None = None
    source_id: str | None = None


async def open_of(reader: Reader, connection_id: str, targets: Sequence[str]) -> list[Drift]:
    rows = await reader.fetch(OPEN_OF_TARGETS, connection_id, list(targets))
    return [drift_of(row) for row in rows]


async def add(
    tx: Transaction, at: Whereabouts, finding: Finding, *, action: Action, evidence: str | None
) -> Drift:
    """A new drift; an object that drifts again gets another row."""
    earlier = await tx.fetchval(COUNT_EARLIER, at.connection_id, finding.object, finding.kind.value)
    id = derived_id("psa-drift", at.connection_id, finding.object, finding.kind.value, earlier)
    row = await tx.fetchrow(
        ADD, id, at.connection_id, at.target_id, at.contract_id, at.source_id, finding.kind.value,
        finding.object, finding.external_id, finding.intent_id, _fields(finding),
        finding.difference, _repairs(finding), finding.edited_by, finding.edited_at, evidence,
        action.value, at.sweep_id, tx.now,
    )  # fmt: skip
    return _kept(row)


async def found_differently(  # what was found, where and by whom
    tx: Transaction,
    old: Drift,
    finding: Finding,
    *,
    action: Action,
    evidence: str | None,
    sweep_id: str,
) -> Drift:
    """The same object, and something else is there now."""
    row = await tx.fetchrow(
        FOUND_DIFFERENTLY, old.id, _fields(finding), finding.difference, _repairs(finding),
        finding.external_id, finding.edited_by, finding.edited_at, evidence, action.value, tx.now,
        sweep_id,
    )  # fmt: skip
    return _kept(row)


async def found_again(tx: Transaction, old: Drift, action: Action) -> Drift:
    return _kept(await tx.fetchrow(FOUND_AGAIN, old.id, tx.now, action.value))


async def set_state(tx: Transaction, id: str, state: str, *, detail: str | None = None) -> None:
    await tx.execute(SET_STATE, id, state, detail, tx.now)


async def get(reader: Reader, id: str) -> Drift | None:
    row = await reader.fetchrow(GET, id)
    return None if row is None else drift_of(row)


async def lock(tx: Transaction, id: str) -> Drift | None:
    row = await tx.fetchrow(LOCK, id)
    return None if row is None else drift_of(row)


async def listing(
    reader: Reader,
    *,
    asked: Mapping[str, str | None],
    after: tuple[datetime, str],
    limit: int,
) -> list[Drift]:
    """By first sight. `asked`: state, connection_id, kind, contract_id."""
    rows = await reader.fetch(
        LIST, asked.get("state"), asked.get("connection_id"), asked.get("kind"),
        asked.get("contract_id"), *after, limit,
    )  # fmt: skip
    return [drift_of(row) for row in rows]


async def waiting(reader: Reader, *, limit: int) -> list[Drift]:
    """What a person should look at, oldest first."""
    return [drift_of(row) for row in await reader.fetch(WAITING, limit)]


def _fields(finding: Finding) -> list[dict[str, str]]:
    return [asdict(field) for field in finding.fields]


def _repairs(finding: Finding) -> list[dict[str, Any]]:
    return [
        {
            "kind": kind_of(repair.operation).value,
            "operation": operations.to_row(kind_of(repair.operation), repair.operation),
            "record_key": repair.record_key,
        }
        for repair in finding.repairs
    ]


def _kept(row: Record | None) -> Drift:
    if row is None:
        raise RuntimeError("a drift is gone; drifts are never deleted")
    return drift_of(row)


def drift_of(row: Record) -> Drift:
    return Drift(
        id=row["id"],
        connection_id=row["connection_id"],
        target_id=row["target_id"],
        contract_id=row["contract_id"],
        source_id=row["source_id"],
        kind=DriftKind(row["kind"]),
        object=row["object"],
        external_id=row["external_id"],
        intent_id=row["intent_id"],
        fields=tuple(FieldDrift(**field) for field in row["fields"]),
        difference=row["difference"],
        repairs=tuple(
            Repair(operations.from_row(one["kind"], one["operation"]), one["record_key"])
            for one in row["repairs"]
        ),
        revision=row["revision"],
        edited_by=row["edited_by"],
        edited_at=row["edited_at"],
        evidence=row["evidence"],
        action=Action(row["action"]),
        state=row["state"],
        detail=row["detail"],
        sweep_id=row["sweep_id"],
        first_seen_at=row["first_seen_at"],
        last_seen_at=row["last_seen_at"],
        state_since=row["state_since"],
    )
