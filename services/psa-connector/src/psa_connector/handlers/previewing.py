"""What a push would write, without writing: plan, preflight and look, as the sender does.

The plan is today's (mappings included), the looks are live, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psa_connector.clients.psa import PsaClient, Work
from psa_connector.clients.vendors import Clients
from psa_connector.domain import preflight
from psa_connector.domain.adjustments import within_contract
from psa_connector.domain.connection import Connection
from psa_connector.domain.drafts import Planned
from psa_connector.domain.intents import State
from psa_connector.domain.mapping import Block, Nowhere, Place, Reason
from psa_connector.domain.operations import AdditionClose, Operation, ServiceAdjustment
from psa_connector.domain.outcomes import Write
from psa_connector.domain.preflight import Expectation
from psa_connector.domain.previewing import (
    Action,
    Foreseen,
    delivered,
    follows,
    foresee,
    stopped,
    takes_over,
    under_way,
)
from psa_connector.domain.verdicts import judge
from psa_connector.handlers import adopting
from psa_connector.handlers.asking import client_of
from psa_connector.handlers.planning import drafted, whereabouts
from psa_connector.store import adoptions, intents, sources
from psa_connector.store.intents import Intent
from psa_connector.store.sources import Source
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Database, Reader

SOURCES_MAX = 200
_STUCK = frozenset({State.REJECTED, State.DRIFTED})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the plan and what would happen to it; without operation, a whole fact."""

    source_id: str
    contract_id: str
    place: Place | None
    operation: Operation | None
    foreseen: Foreseen


@dataclass(frozen=True, slots=True)
class _Ready:
    """A planned line with all that a look needs."""

    planned: Planned
    known: Intent | None
    service: str | None
    taken: frozenset[str]
    closes: str | None
    adopts: str | None

    @property
    def operation(self) -> Operation:
        """As planned, or as the line fulfils it that a person adopted."""
        if self.adopts is not None and self.known is not None:
            return self.known.operation
        return self.planned.draft.operation


@dataclass(frozen=True, slots=True)
class _Plan:
    """The plan of one fact."""

    source: Source
    place: Place | Nowhere | Block
    connection: Connection | None
    lines: tuple[_Ready, ...] = ()


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a preview works with."""

    database: Database
    clients: Clients
    firsts: Mapping[str, str]  # by target, the first change of units that is not delivered
    behind: frozenset[str]  # keys behind a line of their target that waits for a person


@dataclass(frozen=True, slots=True)
class _Look:
    """Where the lines of one fact are looked for, and what stands against all of them."""

    client: PsaClient
    place: Place
    blocks: tuple[Block, ...]
    firsts: Mapping[str, str]
    behind: frozenset[str]


@dataclass(frozen=True, slots=True)
class Window:
    """Which lines of a long preview are wanted; each costs a call to the PSA."""

    start: int
    count: int

    def take(self, at: int) -> bool:
        return self.start <= at < self.start + self.count


async def preview_invoice(
    database: Database, clients: Clients, number_or_id: str, window: Window
) -> list[Line]:
    """What pushing an invoice would do.

    Raises:
        NotFound: `invoice_unknown` here.
        Held: the PSA does not answer now.
    """
    async with database.read() as reader:
        found = await sources.of_invoice(reader, number_or_id)
        if not found:
            raise NotFound("invoice_unknown", f"no finalised invoice {number_or_id} arrived here")
        plans = [await _planned(reader, source) for source in found]
    return await _previewed(_Desk(database, clients, _firsts(plans), _behind(plans)), plans, window)


async def preview_contract(
    database: Database, clients: Clients, contract_id: str, window: Window
) -> list[Line]:
    """What is still to be pushed for a contract: nothing, if everything is delivered.

    Raises:
        Held: the PSA does not answer now.
    """
    async with database.read() as reader:
        found = await sources.open_of_contract(reader, contract_id, limit=SOURCES_MAX)
        plans = [await _planned(reader, source) for source in found]
    return await _previewed(_Desk(database, clients, _firsts(plans), _behind(plans)), plans, window)


async def _planned(reader: Reader, source: Source) -> _Plan:
    place, connection = await whereabouts(reader, source, again=True)
    if not isinstance(place, Place) or connection is None:
        return _Plan(source, place, connection)
    known = await intents.by_key(reader, source.seq)
    adopted = await adoptions.of_source(reader, source.seq)
    lines = []
    for item in await drafted(reader, source, place, connection):
        service, taken = None, frozenset[str]()
        if isinstance(item.draft.operation, ServiceAdjustment):
            service, taken = await intents.service_of(reader, item, place)
        closes = None
        if isinstance(item.draft.operation, AdditionClose):
            closed = await intents.get(reader, item.draft.operation.closes)
            closes = closed.external_id if closed else None
        lines.append(
            _Ready(item, known.get(item.key), service, taken, closes, adopted.get(item.key))
        )
    return _Plan(source, place, connection, tuple(lines))


async def _previewed(desk: _Desk, plans: Sequence[_Plan], window: Window) -> list[Line]:
    lines: list[Line] = []
    at = 0
    for plan in plans:
        size = max(1, len(plan.lines))
        wanted = [window.take(at + n) for n in range(size)]
        at += size
        if any(wanted):
            lines += await _lines(desk, plan, wanted) if plan.lines else [_whole(plan)]
    return lines


def _firsts(plans: Sequence[_Plan]) -> dict[str, str]:
    """By target, the first change of units that is not delivered: only it can be looked at."""
    found: dict[str, str] = {}
    for plan in plans:
        for ready in plan.lines:
            item = ready.planned
            if isinstance(item.draft.operation, ServiceAdjustment) and not _is_delivered(ready):
                found.setdefault(item.target, item.key)
    return found


def _behind(plans: Sequence[_Plan]) -> frozenset[str]:
    """What does not go out before a person has done something about an earlier line."""
    stuck: set[str] = set()
    found: set[str] = set()
    for ready in (ready for plan in plans for ready in plan.lines):
        item = ready.planned
        if ready.known is not None and ready.known.state in _STUCK:
            stuck.add(item.target)
        elif item.target in stuck:
            found.add(item.key)
    return frozenset(found)


def _whole(plan: _Plan) -> Line:
    """A fact that no line goes out for."""
    match plan.place:
        case Block():
            foreseen, place = stopped(plan.place), None
        case Nowhere():
            foreseen, place = Foreseen(Action.NOTHING, "no_psa", "mapped to no PSA"), None
        case Place():
            detail = "nothing in it is for this PSA"
            foreseen, place = Foreseen(Action.NOTHING, "not_for_psa", detail), plan.place
    return Line(plan.source.shown_id, plan.source.contract_id, place, None, foreseen)


async def _lines(desk: _Desk, plan: _Plan, wanted: Sequence[bool]) -> list[Line]:
    """The wanted lines of one fact."""
    if not isinstance(plan.place, Place) or plan.connection is None:
        raise TypeError("lines are planned for a place")
    source, place, found = plan.source, plan.place, []
    with client_of(desk.clients, plan.connection) as client:
        operations, blocks = await _checked(desk, client, plan)
        look = _Look(client, place, blocks, desk.firsts, desk.behind)
        for ready, operation, is_wanted in zip(plan.lines, operations, wanted, strict=True):
            if is_wanted:
                foreseen = await _foreseen(look, ready, operation)
                name = ready.planned.draft.source_id
                found.append(Line(name, source.contract_id, place, operation, foreseen))
    return found


async def _checked(
    desk: _Desk, client: PsaClient, plan: _Plan
) -> tuple[list[Operation], tuple[Block, ...]]:
    """Operations as they would go out, and preflight of those that are not delivered (G6)."""
    place, connection = plan.place, plan.connection
    if not isinstance(place, Place) or connection is None:
        raise TypeError("lines are checked at a place")
    await client.forget(place)
    facts = await client.target_facts(place)
    operations: list[Operation] = []
    for ready in plan.lines:
        operation = ready.operation
        if facts is not None and isinstance(operation, ServiceAdjustment):
            operation = within_contract(operation, facts.starts_on)
        operations.append(operation)
    undelivered = tuple(
        operation
        for ready, operation in zip(plan.lines, operations, strict=True)
        if not _is_delivered(ready) and ready.planned.block is None
    )
    expected = Expectation(
        target_id=place.target_id,
        company_id=place.company_id,
        currency=plan.source.fact.currency,
        operations=undelivered,
        other_cycles_allowed=connection.other_cycles_allowed,
    )
    if not undelivered:
        return operations, ()
    products = await client.product_facts(undelivered)
    blocks = preflight.check(expected, facts, products)
    if not blocks:
        contract_id = plan.source.contract_id
        blocks = await adopting.blocks_of(
            desk.database, client, place, contract_id=contract_id, operations=undelivered
        )
    return operations, blocks


async def _foreseen(look: _Look, ready: _Ready, operation: Operation) -> Foreseen:
    item, known = ready.planned, ready.known
    begun = None if known is None else _begun(known)
    if begun is not None:
        return begun
    block = item.block or next(iter(look.blocks), None)
    if block is not None:
        return stopped(block)
    if item.key in look.behind:
        return follows(operation, "an earlier line that waits for a person")
    if look.firsts.get(item.target, item.key) != item.key:
        return follows(operation, "an earlier change of this subscription")
    if isinstance(operation, AdditionClose) and ready.closes is None:
        return follows(operation, "the line that it closes")
    work = Work(
        key=item.key,
        place=look.place,
        operation=operation,
        service=ready.service,
        taken=ready.taken,
        closes=ready.closes,
    )
    answered = known is not None and known.answered
    verdict = judge(operation, await look.client.observe(work), answered=answered)
    if ready.adopts is not None and isinstance(verdict, Write):
        return takes_over(ready.adopts)
    return foresee(operation, verdict)


def _begun(known: Intent) -> Foreseen | None:
    """What the ledger says of a line that went out, or was about to."""
    if known.state is State.CONFIRMED:
        return delivered(known.external_id)
    if known.state in _STUCK:
        reason = Reason(known.reason or Reason.VENDOR_REFUSED)
        return stopped(Block(reason, known.detail or ""))
    return under_way() if known.state in {State.SENDING, State.UNKNOWN} else None


def _is_delivered(ready: _Ready) -> bool:
    return ready.known is not None and ready.known.state is State.CONFIRMED
