"""What people decided about lines that were in a PSA before our first push."""

from __future__ import annotations

from collections.abc import Collection

from psa_connector.domain.adopting import LineRecord
from psa_connector.domain.mapping import Place
from psa_connector.domain.operations import kind_of
from psa_connector.store import operations
from psa_connector.store.intents import Intent, intent_of
from shared.runtime.postgres import Reader, Transaction

WITHOUT_A_LINE = """
SELECT product FROM unnest($4::text[]) product
WHERE NOT EXISTS (SELECT FROM intent i
                  WHERE i.connection_id = $1 AND i.target_id = $2 AND i.contract_id = $3
                    AND i.operation -> 'product' ->> 'external_id' = product
                    AND i.state = 'confirmed' AND i.kind IN ('addition', 'contract_charge'))
"""
KEYS_AT = """
SELECT key FROM intent WHERE connection_id = $1 AND target_id = $2 AND key = ANY($3::text[])
"""
# An adoption counts while the plan is still the one that was agreed to.
DECIDED = """
SELECT external_id FROM dismissed_line WHERE connection_id = $1
UNION
SELECT a.external_id FROM adoption a JOIN intent i ON i.id = a.intent_id
WHERE i.connection_id = $1 AND a.operation = i.operation
"""
OF_INTENT = """
SELECT a.external_id FROM adoption a JOIN intent i ON i.id = a.intent_id
WHERE i.id = $1 AND a.operation = i.operation
"""
OF_SOURCE = """
SELECT i.key, a.external_id FROM adoption a JOIN intent i ON i.id = a.intent_id
WHERE i.source_seq = $1 AND a.operation = i.operation
"""
PUT = """
INSERT INTO adoption (intent_id, external_id, planned, operation, decided_by, decided_at)
SELECT i.id, $2, coalesce(a.planned, i.operation), $3, $4, $5
FROM intent i LEFT JOIN adoption a ON a.intent_id = i.id AND a.operation = i.operation
WHERE i.id = $1
ON CONFLICT (intent_id) DO UPDATE SET
    external_id = EXCLUDED.external_id, planned = EXCLUDED.planned,
    operation = EXCLUDED.operation, decided_by = EXCLUDED.decided_by,
    decided_at = EXCLUDED.decided_at
"""
SET_OPERATION = "UPDATE intent SET operation = $2 WHERE id = $1"
WITHDRAW = """
WITH given_up AS (
    DELETE FROM adoption WHERE intent_id = $1 RETURNING external_id, planned, operation
)
UPDATE intent i SET
    operation = CASE WHEN i.operation = g.operation THEN g.planned ELSE i.operation END
FROM given_up g WHERE i.id = $1
RETURNING g.external_id
"""
ADOPTER = """
SELECT i.id FROM adoption a JOIN intent i ON i.id = a.intent_id
WHERE i.connection_id = $1 AND a.external_id = $2 AND i.state <> 'confirmed'
  AND a.operation = i.operation
"""
DISMISS = """
INSERT INTO dismissed_line (connection_id, external_id, decided_by, decided_at)
VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
LINK_SERVICE = """
UPDATE target SET external_id = $3 WHERE connection_id = $1 AND name = $2 AND external_id IS NULL
RETURNING true
"""
LINKED_ELSEWHERE = """
SELECT EXISTS (SELECT FROM target WHERE connection_id = $1 AND external_id = $3 AND name <> $2)
"""
OPEN_OF_CONTRACT = """
SELECT * FROM intent
WHERE contract_id = $1 AND state IN ('planned', 'blocked', 'rejected', 'drifted')
  AND kind IN ('addition', 'contract_charge', 'service_adjustment')
ORDER BY source_seq, ordinal LIMIT $2
"""


async def without_a_line(
    reader: Reader, place: Place, contract_id: str, products: Collection[str]
) -> frozenset[str]:
    """The products that a contract of ours has no line of yet on this agreement or contract."""
    at = (place.connection_id, place.target_id, contract_id)
    rows = await reader.fetch(WITHOUT_A_LINE, *at, sorted(products))
    return frozenset(row["product"] for row in rows)


async def keys_at(reader: Reader, place: Place, found: Collection[str]) -> frozenset[str]:
    """Which of these keys the ledger has for this agreement or contract."""
    at = (place.connection_id, place.target_id)
    return frozenset(row["key"] for row in await reader.fetch(KEYS_AT, *at, sorted(found)))


async def decided(reader: Reader, connection_id: str) -> frozenset[str]:
    """Lines that were adopted or dismissed."""
    return frozenset(row["external_id"] for row in await reader.fetch(DECIDED, connection_id))


async def of_intent(reader: Reader, intent_id: str) -> str | None:
    """The line that an intent takes over instead of making one."""
    found = await reader.fetchval(OF_INTENT, intent_id)
    return None if found is None else str(found)


async def of_source(reader: Reader, seq: int) -> dict[str, str]:
    """By key, the lines that intents of a source take over."""
    return {row["key"]: row["external_id"] for row in await reader.fetch(OF_SOURCE, seq)}


async def adopt(tx: Transaction, intent: Intent, external_id: str, record: LineRecord) -> None:
    """From now on the intent wants the line as it is, under our key."""
    row = operations.to_row(kind_of(record), record)
    await tx.execute(PUT, intent.id, external_id, row, tx.actor, tx.now)
    await tx.execute(SET_OPERATION, intent.id, row)


async def withdraw(tx: Transaction, intent_id: str) -> str | None:
    """The intent wants again what was planned; returns the line that it gave up."""
    found = await tx.fetchval(WITHDRAW, intent_id)
    return None if found is None else str(found)


async def adopter(reader: Reader, connection_id: str, external_id: str) -> str | None:
    """The intent that is to take over a line and has not done so yet."""
    found = await reader.fetchval(ADOPTER, connection_id, external_id)
    return None if found is None else str(found)


async def dismiss(tx: Transaction, connection_id: str, external_id: str) -> None:
    await tx.execute(DISMISS, connection_id, external_id, tx.actor, tx.now)


async def link_service(tx: Transaction, intent: Intent, service: str) -> bool:
    """Say which service of the contract is the subscription's; False if one is known already."""
    target = (intent.connection_id, intent.target, service)
    if await tx.fetchval(LINKED_ELSEWHERE, *target):
        return False
    return await tx.fetchval(LINK_SERVICE, *target) is True


async def open_of_contract(reader: Reader, contract_id: str, *, limit: int) -> list[Intent]:
    """What is still to be written for a contract, in plan order."""
    return [intent_of(row) for row in await reader.fetch(OPEN_OF_CONTRACT, contract_id, limit)]
