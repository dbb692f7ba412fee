"""What became of a request to a PSA: state, audit trail and events in one transaction (G7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import JsonValue

from psa_connector.domain.adjustments import Services, units_on
from psa_connector.domain.intents import State, move
from psa_connector.domain.mapping import Block, Reason
from psa_connector.domain.operations import ServiceAdjustment
from psa_connector.domain.verdicts import Observation
from psa_connector.handlers import amending
from psa_connector.handlers.announcing import announce_refusal, refusal
from psa_connector.store import adoptions, connections, intents, operations, queue, sources
from psa_connector.store.intents import Intent
from psa_connector.store.queue import Claim, Settlement
from shared.contracts.psa_connector import DeliveryConfirmed
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pause:
    """The whole connection rests."""

    seconds: float
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, and what was seen on the way."""

    settlement: Settlement
    seen: Observation | None = None
    wrote: bool = False
    blocks: tuple[Block, ...] = ()
    pause: Pause | None = None
    unadopts: bool = False  # the line to take over is gone: the first plan counts again


async def settle(tx: Transaction, held: Claim, outcome: Outcome) -> None:
    """Write down how an attempt ended and tell it. A writer that lost its lease says nothing."""
    intent, result = held.intent, outcome.settlement
    if outcome.pause is not None:
        pause = outcome.pause
        await connections.pause(
            tx, intent.connection_id, pause.seconds, reason=pause.reason, detail=pause.detail
        )
    if result.state is not intent.state:
        move(intent.state, result.state)
    if not await queue.settle(tx, held, result):
        log.warning("intent.lease_lost", intent_id=intent.id, attempt=intent.attempt)
        return
    log.info("intent.settled", intent_id=intent.id, state=result.state, reason=result.reason)
    if intent.amends is not None:
        await amending.settled(tx, intent, result)
    match result.state:
        case State.CONFIRMED:
            await _confirmed(tx, held, outcome)
        case State.BLOCKED:
            await _blocked(tx, held, outcome.blocks)
        case State.REJECTED | State.DRIFTED:
            await _refused(tx, held, outcome)
        case State.PLANNED if outcome.unadopts:
            await _unadopted(tx, intent, result)
        case State.UNKNOWN if intent.state is State.SENDING:
            await _record(tx, "psa.outcome-unknown", held, outcome)
        case _:
            return


async def _unadopted(tx: Transaction, intent: Intent, result: Settlement) -> None:
    """Other lines may be there by now: preflight looks again."""
    external_id = await adoptions.withdraw(tx, intent.id)
    await sources.set_checked(tx, intent.source_seq, passed=False)
    await tx.record(
        "adoption.withdrawn",
        f"intent/{intent.id}",
        before={"external_id": external_id},
        reason=result.detail,
    )


async def remember_check(tx: Transaction, held: Claim) -> None:
    """Preflight passed: the rest of this run does not ask again."""
    await sources.set_checked(tx, held.intent.source_seq, passed=True)


async def _confirmed(tx: Transaction, held: Claim, outcome: Outcome) -> None:
    intent, result = held.intent, outcome.settlement
    event = DeliveryConfirmed(
        intent_id=intent.id,
        connection_id=intent.connection_id,
        target=intent.target,
        kind=intent.kind.value,
        source_id=intent.source_id,
        external_id=result.external_id or intent.external_id or "unknown",
        confirmed_at=tx.now,
    )
    await tx.publish(event, id=derived_id("delivery-confirmed", intent.id, intent.attempt))
    await _record(tx, "psa.delivered", held, outcome)


async def _refused(tx: Transaction, held: Claim, outcome: Outcome) -> None:
    intent, result = held.intent, outcome.settlement
    block = Block(Reason(result.reason or Reason.VENDOR_REFUSED), result.detail or "")
    event = refusal(
        intent_id=intent.id,
        place=intent.place,
        target=intent.target,
        kind=intent.kind,
        source_id=intent.source_id,
        block=block,
    )
    await announce_refusal(tx, event, action=f"intent.{result.state}", attempt=intent.attempt)
    await _record(tx, "psa.refused", held, outcome)


async def _blocked(tx: Transaction, held: Claim, blocks: tuple[Block, ...]) -> None:
    """Preflight failed: the whole source waits (G6), each reason is told once."""
    intent = held.intent
    if intent.amends is None:
        detail = f"{intent.source_id}: {blocks[0].reason}"
        await intents.block_source(
            tx, intent.source_seq, reason=Reason.INVOICE_BLOCKED.value, detail=detail
        )
        source = await sources.lock(tx, intent.source_seq)
        await sources.set_state(tx, source, "blocked")
    for block in blocks:
        event = refusal(
            intent_id=intent.id,
            place=intent.place,
            target=intent.target,
            kind=intent.kind,
            source_id=intent.source_id,
            block=block,
        )
        await announce_refusal(tx, event, action="intent.blocked", attempt=intent.attempt)


async def _record(tx: Transaction, action: str, held: Claim, outcome: Outcome) -> None:
    intent, result = held.intent, outcome.settlement
    after: dict[str, JsonValue] = {
        "connection": intent.connection_id,
        "target": intent.target,
        "key": intent.key,
        "source": intent.source_id,
        "operation": operations.to_row(intent.kind, intent.operation),
        "state": result.state.value,
        "wrote": outcome.wrote,
        "external_id": result.external_id,
        "request_hash": result.request_hash,
        "vendor_request_id": result.vendor_request_id,
    }
    await tx.record(
        action,
        f"intent/{intent.id}",
        before=_seen(held, outcome.seen),
        after=after,
        reason=result.detail,
    )


def _seen(held: Claim, seen: Observation | None) -> dict[str, Any] | None:
    """What the PSA held before, in a few words."""
    operation = held.intent.operation
    match seen:
        case None:
            return None
        case Services():
            day = operation.effective_on if isinstance(operation, ServiceAdjustment) else None
            return {
                units.service: units_on(units.rows, day) if day else None
                for units in seen.candidates
            }
        case _:
            return {
                record.external_id: [str(difference) for difference in record.differences]
                for record in seen.found
            }
