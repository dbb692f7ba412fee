"""Sends attempts, acts on webhooks, and looks for outcomes that nobody told us.

Each step is: claim in a transaction, speak to the provider outside of any, write down what it said.
A crash in between leaves an attempt whose outcome is looked for, never one that is sent anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from payments.clients.gateway import Gateway, NoAnswer, NotSent, Unclear
from payments.domain.attempt import Attempt, Report
from payments.domain.schedule import Way, way_to_learn
from payments.handlers import charges, outcomes, webhooks
from payments.store import attempts, billing
from payments.store.attempts import Kept
from shared.runtime.jobs import Job
from shared.runtime.postgres import Database, Transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Collector:
    """The work of payments that is not triggered by a message."""

    database: Database
    gateways: Mapping[str, Gateway]
    confirm_after: timedelta

    def jobs(self) -> tuple[Job, ...]:
        return (
            Job(charges.SEND, self.send, concurrency=4, pending=attempts.count_to_send),
            Job(webhooks.PROCESS, self.process, concurrency=2, pending=billing.count_events),
            Job(outcomes.CHECK, self.check, pending=attempts.count_to_check),
        )

    async def send(self) -> bool:
        """Send one attempt that was written down."""
        async with self.database.transaction() as tx:
            kept = await attempts.claim_to_send(tx)
        if kept is None:
            return False
        attempt = kept.attempt
        ending = await self.gateways[attempt.provider].charge(attempt)
        async with self._because_of(kept) as tx:
            await outcomes.sent(
                tx, attempt.attempt_id, ending=ending, confirm_after=self.confirm_after
            )
        return True

    async def process(self) -> bool:
        """Act on one signed webhook."""
        async with self.database.transaction() as tx:
            event = await billing.claim_event(tx)
        if event is None or event.payment_id is None:
            return False
        try:
            report = await self.gateways[event.provider].read(event.payment_id)
        except NoAnswer as error:
            log.warning("event.deferred", event_id=event.event_id, error=str(error))
            return True
        named = None if report is None else report.attempt_id
        async with self.database.read() as reader:
            kept = await attempts.find_by_payment(
                reader, event.provider, payment_id=event.payment_id, attempt_id=named
            )
        ours = None if kept is None else kept.attempt.attempt_id
        async with self._because_of(kept) as tx:
            await webhooks.looked_up(
                tx, event, report=report, attempt_id=ours, confirm_after=self.confirm_after
            )
        return True

    async def check(self) -> bool:
        """Look for the outcome of one attempt that should have one by now."""
        async with self.database.transaction() as tx:
            await attempts.abandon_dead_senders(tx)
            kept = await attempts.claim_to_check(tx)
            if kept is None:
                return False
            attempt, waited = kept.attempt, outcomes.has_waited(kept, tx.now, self.confirm_after)
            way = way_to_learn(attempt, tx.now)
            if way is Way.REPEAT:
                await attempts.note_sent_again(tx, attempt.attempt_id)
        gateway = self.gateways[attempt.provider]
        finding = await look(gateway, attempt, way)
        if isinstance(finding, Report) and finding.stalled and waited:
            finding = await settle_stalled(gateway, attempt, finding)
        async with self._because_of(kept) as tx:
            await outcomes.checked(
                tx, attempt.attempt_id, finding=finding, confirm_after=self.confirm_after
            )
        return True

    def _because_of(self, kept: Kept | None) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that continues the chain of causes an attempt belongs to."""
        if kept is None:
            return self.database.transaction()
        return self.database.transaction(cause=kept.cause, correlation_id=kept.correlation_id)


async def look(gateway: Gateway, attempt: Attempt, way: Way) -> Report | NotSent | Unclear | None:
    """Learn about an attempt in the safest way; None: a complete search did not find it."""
    try:
        if way is Way.READ and attempt.provider_payment_id is not None:
            return await gateway.read(attempt.provider_payment_id)
        if way is Way.REPEAT:
            ending = await gateway.charge(attempt)
            if isinstance(ending, Report):
                return ending
            # The provider remembers even its own crash under this key; its list knows more.
            return await gateway.search(attempt) or ending
        return await gateway.search(attempt)
    except NoAnswer as error:
        return Unclear(str(error))


async def settle_stalled(
    gateway: Gateway, attempt: Attempt, report: Report
) -> Report | Unclear | None:
    """A payment the provider took down and never tried to collect: it must not wake up later."""
    if report.provider_payment_id is None:
        return report
    try:
        return await gateway.abandon(attempt, report.provider_payment_id)
    except NoAnswer as error:
        return Unclear(str(error))
