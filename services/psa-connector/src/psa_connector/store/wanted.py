"""What the ledger says a PSA should hold, target by target: everything we have seen there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from psa_connector.domain.intents import State
from psa_connector.domain.operations import Addition, ContractCharge, ServiceAdjustment
from psa_connector.domain.snapshots import Wanted, WantedRecord, WantedService, Words
from psa_connector.store.intents import Intent, intent_of
from shared.runtime.postgres import Reader, Record

TARGETS = """
SELECT DISTINCT target_id FROM intent
WHERE connection_id = $1 AND target_id > $2 AND state = 'confirmed'
ORDER BY target_id LIMIT $3
"""
CONFIRMED = """
SELECT i.*, c.state AS close_state, c.operation ->> 'last_on' AS close_on,
       s.body ->> 'currency' AS currency, t.external_id AS service,
       coalesce(m.company_id, i.company_id) AS company
FROM intent i
JOIN source s ON s.seq = i.source_seq
JOIN target t ON t.connection_id = i.connection_id AND t.name = i.target
LEFT JOIN intent c ON c.id = i.closed_by AND c.state <> 'superseded'
LEFT JOIN contract_mapping m ON m.contract_id = i.contract_id
      AND m.connection_id = i.connection_id AND m.target_id = i.target_id
WHERE i.connection_id = $1 AND i.target_id = ANY($2::text[])
  AND i.state = 'confirmed' AND i.amends IS NULL
ORDER BY i.source_seq, i.ordinal
"""
KEYS = """
SELECT target_id, key FROM intent
WHERE connection_id = $1 AND target_id = ANY($2::text[]) AND amends IS NULL
"""
# Changes with every write and every verdict, so that a reading in between is not believed.
FINGERPRINTS = """
SELECT target_id, bool_or(state IN ('sending', 'unknown')) AS moving,
       md5(string_agg(id || state || attempt || coalesce(external_id, ''), ','
                      ORDER BY id)) AS print
FROM intent WHERE connection_id = $1 AND target_id = ANY($2::text[]) GROUP BY target_id
"""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The state of a target's ledger at one moment."""

    moving: bool
    print: str


async def next_targets(reader: Reader, connection_id: str, *, after: str, limit: int) -> list[str]:
    """Targets that hold something of ours, by id."""
    rows = await reader.fetch(TARGETS, connection_id, after, limit)
    return [row["target_id"] for row in rows]


async def fingerprints(
    reader: Reader, connection_id: str, targets: Sequence[str]
) -> dict[str, Fingerprint]:
    rows = await reader.fetch(FINGERPRINTS, connection_id, list(targets))
    return {row["target_id"]: Fingerprint(row["moving"], row["print"]) for row in rows}


async def of_targets(
    reader: Reader, connection_id: str, targets: Sequence[str], last_seen: dict[str, Words]
) -> list[Wanted]:
    """What each target should hold. `last_seen`: by record key, what an open drift showed."""
    by_target: defaultdict[str, list[Record]] = defaultdict(list)
    for row in await reader.fetch(CONFIRMED, connection_id, list(targets)):
        by_target[row["target_id"]].append(row)
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for row in await reader.fetch(KEYS, connection_id, list(targets)):
        keys[row["target_id"]].add(row["key"])
    return [
        _wanted(target, by_target[target], frozenset(keys[target]), last_seen)
        for target in targets
        if by_target[target]
    ]


def _wanted(
    target: str, rows: Sequence[Record], keys: frozenset[str], last_seen: dict[str, Words]
) -> Wanted:
    newest = rows[-1]
    confirmed = [(row, intent_of(row)) for row in rows]
    return Wanted(
        target_id=target,
        company_id=newest["company"],
        currency=newest["currency"] or None,
        records=tuple(
            _record(row, intent, last_seen)
            for row, intent in confirmed
            if isinstance(intent.operation, Addition | ContractCharge)
        ),
        services=_services(confirmed),
        keys=keys,
    )


def _record(row: Record, intent: Intent, last_seen: dict[str, Words]) -> WantedRecord:
    operation = intent.operation
    if not isinstance(operation, Addition | ContractCharge):
        raise TypeError(f"{intent.kind} is no record")
    own = operation.last_on if isinstance(operation, Addition) else None
    closed = None if row["close_on"] is None else date.fromisoformat(row["close_on"])
    if closed is None:
        ends = {own}
    elif row["close_state"] == State.CONFIRMED.value:
        ends = {closed}
    else:
        ends = {own, closed}  # the close is on its way
    return WantedRecord(
        intent_id=intent.id,
        key=intent.key,
        source_id=intent.source_id,
        contract_id=intent.contract_id,
        operation=operation,
        external_id=intent.external_id,
        ends=frozenset(ends),
        last_seen=last_seen.get(intent.key),
    )


def _services(confirmed: Sequence[tuple[Record, Intent]]) -> tuple[WantedService, ...]:
    steps: defaultdict[str, list[ServiceAdjustment]] = defaultdict(list)
    newest: dict[str, tuple[Record, Intent]] = {}
    for row, intent in confirmed:
        if isinstance(intent.operation, ServiceAdjustment):
            steps[intent.target].append(intent.operation)
            newest[intent.target] = row, intent
    return tuple(
        WantedService(
            target=target,
            service=row["service"],
            intent_id=intent.id,
            source_id=intent.source_id,
            contract_id=intent.contract_id,
            steps=tuple(steps[target]),
        )
        for target, (row, intent) in newest.items()
        if row["service"] is not None
    )
