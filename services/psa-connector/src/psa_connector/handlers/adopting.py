"""Cut-over: what is in the PSA already stops the first push until a person adopts or dismisses
it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psa_connector.clients.psa import PsaClient, Work
from psa_connector.clients.vendors import Clients, kinds_of
from psa_connector.domain.adjustments import Services
from psa_connector.domain.adopting import (
    LINES,
    ExistingLine,
    Rival,
    adopted,
    cut_over_blocks,
    recognised,
    rivals,
    service_rivals,
)
from psa_connector.domain.intents import WAITS_FOR_A_PERSON, State
from psa_connector.domain.mapping import Block, Place
from psa_connector.domain.operations import Operation, OperationKind, ServiceAdjustment, kind_of
from psa_connector.domain.preflight import products_needed
from psa_connector.handlers.asking import asked_for, client_of
from psa_connector.handlers.planning import PLAN, SEND
from psa_connector.store import adoptions, connections, intents, queue, sources
from psa_connector.store.intents import Intent
from shared.kernel.errors import Conflict, Invalid, NotFound
from shared.runtime.postgres import Database, Reader, Transaction

PROPOSALS_MAX = 500


@dataclass(frozen=True, slots=True)
class Proposal:
    """A thing in the PSA that an intent could take over."""

    intent: Intent
    rival: Rival


async def blocks_of(
    database: Database,
    client: PsaClient,
    place: Place,
    *,
    contract_id: str,
    operations: Sequence[Operation],
) -> tuple[Block, ...]:
    """What stops the first push of a product; nothing once the contract has a line of it there."""
    lines = [operation for operation in operations if kind_of(operation) in LINES]
    if not lines:
        return ()
    async with database.read() as reader:
        products = products_needed(lines)
        new = await adoptions.without_a_line(reader, place, contract_id, products)
        decided = await adoptions.decided(reader, place.connection_id)
    first = [operation for operation in lines if products_needed([operation]) & new]
    if not first:
        return ()
    return cut_over_blocks(first, await _lines_at(database, client, place), decided)


async def propose(database: Database, clients: Clients, contract_id: str) -> list[Proposal]:
    """Everything in the PSA that could be what is still to be written for a contract.

    Raises:
        Held: the PSA does not answer now.
    """
    async with database.read() as reader:
        found = await adoptions.open_of_contract(reader, contract_id, limit=PROPOSALS_MAX)
        decided = {
            id: await adoptions.decided(reader, id) for id in {i.connection_id for i in found}
        }
        works = {one.id: await _work(reader, one) for one in found}
    proposals: list[Proposal] = []
    lines: dict[Place, Sequence[ExistingLine]] = {}
    seen: set[tuple[str, str]] = set()
    for intent in found:
        connection = await asked_for(database, intent.connection_id)
        with client_of(clients, connection) as client:
            if intent.kind in LINES:
                if intent.place not in lines:
                    lines[intent.place] = await _lines_at(database, client, intent.place)
                found_here = rivals(
                    intent.operation, lines[intent.place], decided[intent.connection_id]
                )
            elif (intent.connection_id, intent.target) in seen:
                continue  # only the first change of a subscription decides which service it is
            else:
                seen.add((intent.connection_id, intent.target))
                found_here = await _service_rivals(client, intent, works[intent.id])
        proposals += [Proposal(intent, rival) for rival in found_here]
    return proposals


async def live_line(
    database: Database, clients: Clients, intent_id: str, external_id: str
) -> ExistingLine | None:
    """The line as it is now; None for a service, which is only linked.

    Raises:
        NotFound: `intent_unknown`, `line_unknown`.
        Conflict: `not_adoptable`.
        Held: the PSA does not answer now.
    """
    async with database.read() as reader:
        intent = await intents.get(reader, intent_id)
        if intent is None:
            raise NotFound("intent_unknown", f"there is no intent {intent_id}")
        work = await _work(reader, intent)
    connection = await asked_for(database, intent.connection_id)
    with client_of(clients, connection) as client:
        if intent.kind is OperationKind.SERVICE_ADJUSTMENT:
            there = {rival.external_id for rival in await _service_rivals(client, intent, work)}
        else:
            lines = await _lines_at(database, client, intent.place)
            line = next((one for one in lines if one.external_id == external_id), None)
            if line is not None:
                return line
            there = set()
    if external_id not in there:
        raise NotFound("line_unknown", f"the PSA shows no {external_id} at {intent.target}")
    return None


async def adopt(
    tx: Transaction, intent_id: str, external_id: str, line: ExistingLine | None
) -> Intent:
    """Take a line or a service over; the writer puts our key into it instead of making one.

    Raises:
        NotFound: `intent_unknown`.
        Conflict: `intent_under_way`, `line_taken`, `not_adoptable`.
    """
    intent = await _undelivered(tx, intent_id)
    if line is None:
        if not await adoptions.link_service(tx, intent, external_id):
            raise Conflict("line_taken", f"{external_id} or {intent.target} is linked already")
    else:
        own = await adoptions.of_intent(tx, intent.id)
        taken = await adoptions.decided(tx, intent.connection_id) - {own}
        if external_id in taken:
            raise Conflict("line_taken", f"{external_id} was adopted or dismissed already")
        await adoptions.adopt(tx, intent, external_id, adopted(intent.operation, line))
    await _go_on(tx, intent)
    await tx.record(
        "adoption.confirmed",
        f"intent/{intent.id}",
        after={
            "connection": intent.connection_id,
            "target": intent.target,
            "source": intent.source_id,
            "external_id": external_id,
        },
    )
    return await intents.get(tx, intent.id) or intent


async def withdraw(tx: Transaction, intent_id: str) -> Intent:
    """Take an adoption back: the intent is planned as before, and the line asked about again.

    Raises:
        NotFound: `intent_unknown`.
        Conflict: `intent_under_way`, `nothing_adopted`.
    """
    intent = await _undelivered(tx, intent_id)
    external_id = await adoptions.withdraw(tx, intent.id)
    if external_id is None:
        raise Conflict("nothing_adopted", f"intent {intent_id} takes over no line")
    await sources.set_checked(tx, intent.source_seq, passed=False)
    await _go_on(tx, intent)
    await tx.record(
        "adoption.withdrawn", f"intent/{intent.id}", before={"external_id": external_id}
    )
    return await intents.get(tx, intent.id) or intent


async def dismiss(tx: Transaction, connection_id: str, external_id: str) -> None:
    """This line is something else: ours will be written beside it. What was to take it over does
    not any more.

    Raises:
        NotFound: `connection_unknown`.
        Conflict: `intent_under_way`: it is being taken over this moment.
        Invalid: `not_for_lines` where a PSA has no lines that anybody could enter.
    """
    connection = await connections.get(tx, connection_id)
    if connection is None:
        raise NotFound("connection_unknown", f"there is no connection {connection_id}")
    if not kinds_of(connection.vendor) & LINES:
        raise Invalid("not_for_lines", f"{connection.vendor} has no lines to dismiss")
    adopter = await adoptions.adopter(tx, connection_id, external_id)
    if adopter is not None:
        await withdraw(tx, adopter)
    await adoptions.dismiss(tx, connection_id, external_id)
    await sources.reopen_connection(tx, connection_id)
    await tx.record(
        "adoption.dismissed", f"connection/{connection_id}", after={"external_id": external_id}
    )
    tx.wake(PLAN)


async def _undelivered(tx: Transaction, intent_id: str) -> Intent:
    """An intent that can still be decided about."""
    intent = await intents.lock(tx, intent_id)
    if intent is None:
        raise NotFound("intent_unknown", f"there is no intent {intent_id}")
    if intent.state not in {State.PLANNED, *WAITS_FOR_A_PERSON} or intent.answered:
        detail = f"nothing can be decided about an intent that is {intent.state}"
        raise Conflict("intent_under_way", detail)
    return intent


async def _go_on(tx: Transaction, intent: Intent) -> None:
    """What was held up is planned and checked again; more lines may still have to be decided."""
    if intent.state in {State.REJECTED, State.DRIFTED}:
        await intents.plan_again(tx, intent.id)
        await sources.set_checked(tx, intent.source_seq, passed=False)
        await queue.go_now(tx, intent)
    await sources.reopen_contract(tx, intent.contract_id)
    tx.wake(PLAN)
    tx.wake(SEND)


async def _lines_at(
    database: Database, client: PsaClient, place: Place
) -> tuple[ExistingLine, ...]:
    """Every line that the PSA shows. A key makes it ours only if the ledger has it for this place:
    copies and other installations carry keys, too."""
    shown = await client.existing(place)
    found = {line.key for line in shown if line.key}
    if not found:
        return tuple(shown)
    async with database.read() as reader:
        return recognised(shown, await adoptions.keys_at(reader, place, found))


async def _work(reader: Reader, intent: Intent) -> Work:
    service, taken = await intents.service_at(reader, intent)
    return Work(intent.key, intent.place, intent.operation, service=service, taken=taken)


async def _service_rivals(client: PsaClient, intent: Intent, work: Work) -> list[Rival]:
    operation = intent.operation
    if not isinstance(operation, ServiceAdjustment):
        return []
    seen = await client.observe(work)
    return service_rivals(operation, seen) if isinstance(seen, Services) else []
