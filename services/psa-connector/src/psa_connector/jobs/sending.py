"""Delivers one intent: look, judge, write at most once, look again.

The transaction that marked the intent SENDING has committed before anything leaves. Whatever goes
wrong after the request left is UNKNOWN, and UNKNOWN only looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from psa_connector.clients.psa import (
    AdoptionGone,
    Busy,
    Denied,
    PsaClient,
    PsaError,
    Refused,
    Throttled,
    Unavailable,
    Work,
    WriteUnknown,
    Written,
)
from psa_connector.clients.vendors import Clients
from psa_connector.domain import preflight
from psa_connector.domain.adjustments import within_contract
from psa_connector.domain.intents import State
from psa_connector.domain.mapping import Block, Reason
from psa_connector.domain.operations import (
    Operation,
    RecordRemoval,
    RecordUpdate,
    ServiceAdjustment,
)
from psa_connector.domain.outcomes import Done, Drift, Write
from psa_connector.domain.preflight import Expectation, TargetFacts
from psa_connector.domain.verdicts import Observation, judge
from psa_connector.handlers import adopting, delivering
from psa_connector.handlers.delivering import Outcome, Pause
from psa_connector.jobs.claims import Claims
from psa_connector.store import intents, queue
from psa_connector.store.queue import Claim, Settlement
from shared.runtime.jobs import Work as Worked
from shared.runtime.postgres import Database

log = structlog.get_logger()

DENIED_S = 60.0
FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 60.0
MARGIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Attempt:
    """One writer at work on one claim."""

    held: Claim
    client: PsaClient
    leave_by: float  # monotonic; a write that leaves later could outlive the lease
    look_again_s: float


class Sender:
    """The step of the sending job; as many at once as the service has writers."""

    def __init__(
        self, database: Database, clients: Clients, claims: Claims, *, timeout_s: float
    ) -> None:
        self._database = database
        self._clients = clients
        self._claims = claims
        self._timeout_s = timeout_s
        self._look_again_s = claims.pace.look_again_s

    async def step(self) -> bool | Worked:
        """Deliver the first deliverable intent of some target."""
        claimed = await self._claims.next()
        if claimed is None:
            return False
        held, lease_ends = claimed
        outcome = await self._outcome(held, lease_ends - self._timeout_s - MARGIN_S)
        async with self._database.transaction(cause=held.cause) as tx:
            await delivering.settle(tx, held, outcome)
            more = await queue.any_moving(tx)
        return True if more else Worked.ALL_DONE

    async def _outcome(self, held: Claim, leave_by: float) -> Outcome:
        try:
            client = self._clients.of(held.connection)
            return await self._deliver(Attempt(held, client, leave_by, self._look_again_s))
        except PsaError as error:
            return after_error(held, error, look_again_s=self._look_again_s)
        except Exception as defect:  # the last place that knows the intent: it must not spin
            log.exception("psa.defect", intent_id=held.intent.id)
            ours = Unavailable(_our_defect(defect))
            return after_error(held, ours, look_again_s=self._look_again_s)

    async def _deliver(self, attempt: Attempt) -> Outcome:
        held, client = attempt.held, attempt.client
        operation, blocks = await self._ready_operation(attempt)
        if blocks:
            await client.forget(held.intent.place)
            reason = blocks[0].reason.value
            detail = "; ".join(block.detail for block in blocks)
            return Outcome(Settlement(State.BLOCKED, reason, detail), blocks=blocks)
        work = replace(_work(held, operation), leave_by=attempt.leave_by)
        seen = await client.observe(work)
        verdict = judge(operation, seen, answered=held.intent.answered)
        if not isinstance(verdict, Write):
            return _found(held, seen, verdict)
        if held.resolves:
            return _absent(held, seen, look_again_s=self._look_again_s)
        written = await _write(client, work, verdict)
        return await _proven(attempt, work, seen, written)

    async def _ready_operation(self, attempt: Attempt) -> tuple[Operation, tuple[Block, ...]]:
        """The operation as it can go out, or what stands against it (C1, A3)."""
        held, client = attempt.held, attempt.client
        operation = held.intent.operation
        needs_dates = isinstance(operation, ServiceAdjustment)
        checks = _needs_preflight(held)
        if not checks and not needs_dates:
            return operation, ()
        facts = await client.target_facts(held.intent.place)
        if facts is not None and isinstance(operation, ServiceAdjustment):
            operation = within_contract(operation, facts.starts_on)
        blocks = await self._check(attempt, operation, facts) if checks else ()
        return operation, blocks

    async def _check(
        self, attempt: Attempt, operation: Operation, facts: TargetFacts | None
    ) -> tuple[Block, ...]:
        """Preflight of everything the source still wants to write, before its first write (G6)."""
        held = attempt.held
        others = await self._others(held)
        expected = Expectation(
            target_id=held.intent.place.target_id,
            company_id=held.intent.place.company_id,
            currency=held.currency or None,
            operations=(operation, *others),
            other_cycles_allowed=held.connection.other_cycles_allowed,
        )
        products = await attempt.client.product_facts(expected.operations)
        blocks = preflight.check(expected, facts, products)
        if not blocks:
            place = held.intent.place
            blocks = await adopting.blocks_of(
                self._database,
                attempt.client,
                place,
                contract_id=held.intent.contract_id,
                operations=expected.operations,
            )
        if not blocks and others:
            async with self._database.transaction() as tx:
                await delivering.remember_check(tx, held)
        return blocks

    async def _others(self, held: Claim) -> list[Operation]:
        """What the same source still wants to write; most sources want one thing."""
        if held.of_source == 1 or held.intent.amends is not None:
            return []
        async with self._database.read() as reader:
            run = await intents.of_source(reader, held.intent.source_seq)
        return [one.operation for one in run if one.id != held.intent.id]


def _needs_preflight(held: Claim) -> bool:
    """Before the first write of a source, and before whatever is made anew; an update or removal of
    a record of ours asks for its own evidence."""
    if held.resolves:
        return False
    if held.intent.amends is None:
        return not held.checked
    return not isinstance(held.intent.operation, RecordUpdate | RecordRemoval)


async def _write(client: PsaClient, work: Work, wanted: Write) -> Written:
    """A defect of ours at the write leaves open whether the request left."""
    try:
        return await client.write(work, wanted)
    except PsaError:
        raise
    except Exception as defect:
        log.exception("psa.defect", key=work.key)
        raise WriteUnknown(_our_defect(defect)) from defect


def _our_defect(defect: Exception) -> str:
    return f"a defect of Tieout, not of the PSA: {defect!r}"


async def _proven(attempt: Attempt, work: Work, seen: Observation, written: Written) -> Outcome:
    """Read back what the PSA said yes to. Not seen is not failed: it will be looked for again."""
    facts = Settlement(
        State.UNKNOWN,
        external_id=written.external_id,
        request_hash=written.request_hash,
        vendor_request_id=written.vendor_request_id,
        answered=True,
        wait_s=attempt.look_again_s,
    )
    try:
        after = await attempt.client.observe(work)
        verdict = judge(work.operation, after, answered=True)
    except PsaError as error:
        return Outcome(replace(facts, detail=str(error)), seen, wrote=True)
    except Exception as defect:
        log.exception("psa.defect", key=work.key)
        return Outcome(replace(facts, detail=_our_defect(defect)), seen, wrote=True)
    match verdict:
        case Done():
            done = replace(facts, state=State.CONFIRMED, wait_s=0.0)
            return Outcome(replace(done, service=_service(work, verdict)), seen, wrote=True)
        case Drift(block):
            drift = replace(facts, state=State.DRIFTED, reason=block.reason, detail=block.detail)
            return Outcome(replace(drift, wait_s=0.0), seen, wrote=True)
        case Write():
            return Outcome(replace(facts, detail="not visible yet"), seen, wrote=True)


def _found(held: Claim, seen: Observation, verdict: Done | Drift) -> Outcome:
    """The PSA holds it already, or holds something else."""
    if isinstance(verdict, Drift):
        block = verdict.block
        return Outcome(Settlement(State.DRIFTED, block.reason.value, block.detail), seen)
    known = held.intent.external_id if held.intent.answered else None
    return Outcome(
        Settlement(
            State.CONFIRMED,
            external_id=known or verdict.external_id,
            service=_service(_work(held, held.intent.operation), verdict),
        ),
        seen,
        wrote=held.intent.answered,
    )


def _absent(held: Claim, seen: Observation, *, look_again_s: float) -> Outcome:
    """Nothing to be seen of an earlier request: wait, then send again or ask a person.

    A request that the PSA said yes to is never sent again by itself.
    """
    answered = held.intent.answered
    if not held.settled:
        detail = "looking for it"
        wait = Settlement(State.UNKNOWN, detail=detail, answered=answered, wait_s=look_again_s)
        return Outcome(wait, seen)
    if answered:
        detail = f"the PSA confirmed {held.intent.external_id} and does not show it"
        return Outcome(Settlement(State.DRIFTED, Reason.NOT_VISIBLE.value, detail), seen)
    return Outcome(Settlement(State.PLANNED, detail="not applied; sending again"), seen)


def after_error(held: Claim, error: PsaError, *, look_again_s: float) -> Outcome:
    """The retry classes (G3)."""
    still = State.UNKNOWN if held.resolves else State.PLANNED
    failures = held.failures + 1
    backoff = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(failures, 12))
    waits = Settlement(
        still, detail=str(error), answered=held.intent.answered, wait_s=backoff, failures=failures
    )
    match error:
        case WriteUnknown():
            unknown = replace(waits, state=State.UNKNOWN, wait_s=look_again_s, failures=0)
            return Outcome(unknown, wrote=True)
        case Throttled(wait_s=wait_s):
            pause = Pause(wait_s, "throttled", str(error))
            return Outcome(replace(waits, wait_s=0.0), pause=pause)
        case Denied():
            pause = Pause(DENIED_S, "credentials_refused", str(error))
            return Outcome(replace(waits, wait_s=0.0), pause=pause)
        case AdoptionGone():
            return Outcome(replace(waits, wait_s=0.0, failures=0), unadopts=True)
        case Refused() if not held.resolves:
            refused = Settlement(State.REJECTED, Reason.VENDOR_REFUSED.value, str(error))
            return Outcome(refused)
        case Busy() | Unavailable() | Refused():
            return Outcome(waits)
    raise error


def _work(held: Claim, operation: Operation) -> Work:
    return Work(
        key=held.intent.record_key or held.intent.key,
        place=held.intent.place,
        operation=operation,
        service=held.service,
        taken=held.taken,
        closes=held.closes_external_id,
        adopts=held.adopts,
    )


def _service(work: Work, done: Done) -> str | None:
    """The service an adjustment belongs to, to be remembered."""
    return done.external_id if isinstance(work.operation, ServiceAdjustment) else None
