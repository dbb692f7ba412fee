"""What follows when a record was changed by an intent of its own: the ledger learns the new id, the
drift is healed or waits for a person, and what the drift had stopped goes on."""

from __future__ import annotations

from psa_connector.domain.intents import State
from psa_connector.domain.operations import OperationKind
from psa_connector.store import amendments, drifts
from psa_connector.store.intents import Intent
from psa_connector.store.queue import Settlement
from shared.runtime.postgres import Transaction

MADE_ANEW = frozenset({OperationKind.ADDITION, OperationKind.CONTRACT_CHARGE})


async def settled(tx: Transaction, intent: Intent, result: Settlement) -> None:
    """Part of the transaction that settles an amending intent."""
    if result.state is State.CONFIRMED:
        if intent.kind in MADE_ANEW and result.external_id and intent.amends:
            await amendments.renumber(tx, intent.amends, result.external_id)
        if intent.drift_id is not None:
            await _healed(tx, intent, intent.drift_id)
    elif result.state in {State.REJECTED, State.BLOCKED, State.DRIFTED} and intent.drift_id:
        await drifts.set_state(tx, intent.drift_id, "failed", detail=result.detail)


async def _healed(tx: Transaction, intent: Intent, drift_id: str) -> None:
    """Healed with its last intent; only then does what stopped at the drift look again."""
    if await amendments.any_left(tx, drift_id, except_id=intent.id):
        return
    await drifts.set_state(tx, drift_id, "healed")
    await amendments.look_again(tx, intent)
    await tx.record(
        "drift.healed",
        f"drift/{drift_id}",
        after={"connection": intent.connection_id, "target": intent.target, "intent": intent.id},
    )
