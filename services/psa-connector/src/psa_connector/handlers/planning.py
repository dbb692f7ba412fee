"""From a fact to intents: kept whole, planned at once where its place is known.

What cannot be planned waits, visibly, and is planned again when a mapping arrives, with the same
keys. Facts of one contract are planned in the order they came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psa_connector.clients.vendors import kinds_of
from psa_connector.domain.connection import Connection
from psa_connector.domain.drafts import Planned
from psa_connector.domain.intents import State
from psa_connector.domain.mapping import Block, Nowhere, Place, Reason, place_of
from psa_connector.domain.operations import OperationKind
from psa_connector.domain.planner import (
    Fact,
    PlanRules,
    by_contract,
    missing_product_keys,
    plan,
    wanted_product_keys,
)
from psa_connector.handlers.announcing import announce_refusal, refusal
from psa_connector.store import connections, intents, mappings, sources
from psa_connector.store.intents import Known, intent_id
from psa_connector.store.sources import Source
from shared.contracts.envelope import Envelope
from shared.contracts.invoicing import InvoiceFinalised
from shared.contracts.psa_connector import DeliveryRefused
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Reader, Transaction

SEND = "send_intents"
PLAN = "plan_sources"
NO_CONNECTION = "unmapped"


async def receive(fact: Fact, tx: Transaction) -> None:
    """Keep a finalised invoice or a licence change and plan it. A repeat changes nothing."""
    if tx.cause is None:
        raise RuntimeError("a fact arrives in a message")
    for part in by_contract(fact):
        await _receive(tx, part, tx.cause)


async def _receive(tx: Transaction, fact: Fact, cause: Envelope) -> None:
    source = await sources.add(tx, fact, cause)
    if source is None:
        return
    if await sources.has_earlier_waiting(tx, source):
        tx.wake(PLAN)
        return
    await plan_source(tx, source)


async def plan_source(tx: Transaction, source: Source, *, again: bool = False) -> None:
    """Turn a fact into intents. `again`: it was planned before; nothing that started moves."""
    place, connection = await whereabouts(tx, source, again=again)
    match place:
        case Block():
            await _wait(tx, source, place)
        case Nowhere():
            await _deliver_nothing(tx, source)
        case Place():
            if connection is None:
                raise RuntimeError(f"{place.connection_id} is gone; connections are kept")
            planned = await _plan(tx, source, place, connection)
            await _put(tx, source, place, planned, again=again)


async def whereabouts(
    reader: Reader, source: Source, *, again: bool
) -> tuple[Place | Nowhere | Block, Connection | None]:
    """Where a fact goes: where its delivery has begun, else where its contract is mapped."""
    started = await intents.started_place(reader, source) if again else None
    if started is not None:
        return started, await connections.get(reader, started.connection_id)
    mapping, connection = await mappings.contract_and_connection(reader, source.contract_id)
    return place_of(source.contract_id, mapping), connection


async def drafted(
    reader: Reader, source: Source, place: Place, connection: Connection
) -> tuple[Planned, ...]:
    """The plan of a fact with today's mappings; nothing is kept."""
    rules = PlanRules(kinds_of(connection.vendor), connection.addition_rules)
    still_open = []
    if _takes_lines(rules, source):
        still_open = await intents.open_additions(reader, source, place.connection_id)
    keys = wanted_product_keys(source.fact)
    mapped = await mappings.products(reader, place.connection_id, keys)
    return plan(source.fact, place, rules=rules, mapped=mapped, still_open=still_open)


async def _put(
    tx: Transaction, source: Source, place: Place, planned: Sequence[Planned], *, again: bool
) -> None:
    if not planned:
        await _deliver_nothing(tx, source)
        return
    before = await intents.known(tx, source, place.connection_id) if again else {}
    await intents.put(tx, source, place, planned)
    if again:
        keys = [item.key for item in planned]
        await intents.supersede_others(tx, source, place.connection_id, keys)
    if any(item.block for item in planned):
        missing = missing_product_keys(planned, source.fact)
        await sources.set_state(tx, source, "blocked", missing=missing)
        await _announce_blocks(tx, place, planned, before)
        return
    await sources.set_state(tx, source, "planned")
    tx.wake(SEND)


async def _plan(
    tx: Transaction, source: Source, place: Place, connection: Connection
) -> tuple[Planned, ...]:
    rules = PlanRules(kinds_of(connection.vendor), connection.addition_rules)
    if _takes_lines(rules, source):
        await intents.lock_target(tx, place)
    return await drafted(tx, source, place, connection)


def _takes_lines(rules: PlanRules, source: Source) -> bool:
    return OperationKind.ADDITION in rules.kinds and isinstance(source.fact, InvoiceFinalised)


async def _wait(tx: Transaction, source: Source, block: Block) -> None:
    """No place for this contract yet. Told once per reason."""
    await sources.set_state(tx, source, "waiting", block=block)
    if source.reason == block.reason.value:
        return
    event = DeliveryRefused(
        intent_id=derived_id("psa-source", source.kind, source.source_id),
        connection_id=NO_CONNECTION,
        target=source.contract_id,
        kind=source.kind,
        source_id=source.shown_id,
        reason=block.reason.value,
        detail=block.detail,
    )
    await announce_refusal(tx, event, action="delivery.waiting", attempt=0)


async def _deliver_nothing(tx: Transaction, source: Source) -> None:
    """Mapped to none, or nothing in it for this PSA."""
    await intents.supersede_others(tx, source, NO_CONNECTION, ())
    await sources.set_state(tx, source, "nothing")


async def _announce_blocks(
    tx: Transaction, place: Place, planned: Sequence[Planned], before: Mapping[str, Known]
) -> None:
    """Blocks that are news; a line held up by another line says nothing new."""
    for item in planned:
        if item.block is None or item.block.reason is Reason.INVOICE_BLOCKED:
            continue
        old = before.get(item.key)
        if old == Known(State.BLOCKED, item.block.reason):
            continue
        event = refusal(
            intent_id=intent_id(place.connection_id, item.key),
            place=place,
            target=item.target,
            kind=item.kind,
            source_id=item.draft.source_id,
            block=item.block,
        )
        await announce_refusal(tx, event, action="intent.blocked", attempt=0)
