"""Intents that change a record which another intent made: heals, revisions, removals."""

from __future__ import annotations

from collections.abc import Sequence

from psa_connector.domain.drift import Repair
from psa_connector.domain.operations import kind_of
from psa_connector.domain.push_keys import KeyKind, push_key
from psa_connector.store import operations
from psa_connector.store.intents import Intent, intent_id, intent_of
from shared.runtime.postgres import Reader, Transaction

# After everything of the same source, and before what later sources want of the same target.
FIRST_ORDINAL = 100_000

ADD = """
INSERT INTO intent (id, connection_id, key, target, kind, source_seq, ordinal, source_id,
                    contract_id, company_id, target_id, subscription_id, operation, stays_open,
                    state, planned_at, state_since, amends, record_key, drift_id)
SELECT $2, connection_id, $3, target, $4, source_seq,
       greatest($5, (SELECT max(x.ordinal) + 1 FROM intent x WHERE x.source_seq = o.source_seq)),
       source_id, contract_id, company_id, target_id, subscription_id, $6, false,
       'planned', $7, $7, o.id, $8, $9
FROM intent o WHERE o.id = $1
ON CONFLICT (connection_id, key) DO NOTHING RETURNING id
"""
RENUMBER = "UPDATE intent SET external_id = $2 WHERE id = $1"
ANY_LEFT = """
SELECT EXISTS (SELECT FROM intent
               WHERE drift_id = $1 AND id <> $2 AND state NOT IN ('confirmed', 'superseded'))
"""
UNFINISHED_OF_DRIFT = """
SELECT * FROM intent
WHERE drift_id = $1 AND state IN ('blocked', 'rejected', 'drifted') ORDER BY ordinal
"""
GIVE_UP = """
UPDATE intent SET state = 'superseded', reason = NULL, detail = NULL, state_since = $2
WHERE drift_id = $1 AND state IN ('planned', 'blocked', 'rejected', 'drifted')
"""
# What found the drift while pushing: it looks first, so a drift that is still there stops it again.
LOOK_AGAIN = """
UPDATE intent SET state = 'planned', reason = NULL, detail = NULL, answered = false,
                  state_since = $3
WHERE connection_id = $1 AND target = $2 AND state = 'drifted' AND amends IS NULL
"""


async def plan_repairs(
    tx: Transaction, original: Intent, repairs: Sequence[Repair], *, drift_id: str, revision: int
) -> list[str]:
    """Plan the intents that heal a drift; planning twice plans once."""
    planned = []
    for number, repair in enumerate(repairs):
        key = push_key(original.connection_id, KeyKind.HEAL, f"{drift_id}/{number}", revision)
        kind = kind_of(repair.operation)
        id = await tx.fetchval(
            ADD, original.id, intent_id(original.connection_id, key), key, kind.value,
            FIRST_ORDINAL, operations.to_row(kind, repair.operation), tx.now, repair.record_key,
            drift_id,
        )  # fmt: skip
        if id is not None:
            planned.append(str(id))
    return planned


async def of_drift(reader: Reader, drift_id: str) -> list[Intent]:
    """The heals of a drift that wait for a person."""
    return [intent_of(row) for row in await reader.fetch(UNFINISHED_OF_DRIFT, drift_id)]


async def give_up(tx: Transaction, drift_id: str) -> None:
    """Heals that did not get through hold up their target no longer."""
    await tx.execute(GIVE_UP, drift_id, tx.now)


async def renumber(tx: Transaction, id: str, external_id: str) -> None:
    """A record was made anew: what closes or changes it later has to name the new one."""
    await tx.execute(RENUMBER, id, external_id)


async def any_left(tx: Transaction, drift_id: str, *, except_id: str) -> bool:
    return await tx.fetchval(ANY_LEFT, drift_id, except_id) is True


async def look_again(tx: Transaction, healed: Intent) -> None:
    """Drifted intents of the target try again."""
    await tx.execute(LOOK_AGAIN, healed.connection_id, healed.target, tx.now)
