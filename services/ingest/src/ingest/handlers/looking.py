"""One look at one subscription: read it, read the records that explain it, settle what changed.

The fast path is one read of the subscription and one of the record that the webhook named. The
customer's records are listed only when those two leave a question open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import structlog

from ingest.clients.errors import ProviderBusy, ProviderError, ProviderRefused
from ingest.clients.partner_center import Document
from ingest.domain.audit_records import AuditRecord
from ingest.domain.snapshots import read_snapshot
from ingest.handlers.context import Context, retry_after
from ingest.handlers.heartbeat import LeaseLost, kept
from ingest.handlers.observing import Look, MirrorMoved, Seen, Verdict, observe
from ingest.handlers.records import keep_records, read_records
from ingest.store import checks, webhooks
from ingest.store.checks import Check
from ingest.store.subscriptions import Observation
from ingest.store.webhooks import Delivery
from shared.kernel.errors import Invalid
from shared.kernel.periods import utc_day

log = structlog.get_logger()

RETENTION = timedelta(days=89)  # records older than 90 days are refused
FINAL = frozenset({400, 404, 410})
TRIES_BEFORE_FAILED = 5
WEBHOOK, AUDIT, SWEEP = "webhook", "audit", "sweep"


async def look_at(context: Context, check: Check, deliveries: Sequence[Delivery]) -> None:
    """Carry out a claimed check; whatever happens, its row says so afterwards."""

    async def renew() -> bool:
        async with context.database.transaction(correlation_id=check.correlation_id) as tx:
            return await checks.beat_check(tx, check)

    what = f"check {check.subscription_id}"
    try:
        async with kept(what, renew, every_s=checks.LEASE_S / 3):
            await _look(context, check, deliveries)
    except LeaseLost as lost:
        log.warning("check.lease-lost", reason=str(lost))  # whoever holds it looks now
    except (ProviderError, OSError, Invalid, MirrorMoved) as error:
        await _postpone(context, check, error)


async def _look(context: Context, check: Check, deliveries: Sequence[Delivery]) -> None:
    observed_at = context.database.clock.now()
    missing = [d.audit_record_id for d in deliveries if d.audit_record_id and not d.read]
    resource, named = await asyncio.gather(
        context.partner_center.subscription(check.customer_id, check.subscription_id),
        _named(context, list(dict.fromkeys(missing))),
    )
    snapshot = read_snapshot(resource, customer_id=check.customer_id)
    observation = Observation(snapshot, context.account.id, observed_at, check.read_at)
    look = Look(
        account=context.account,
        channel=WEBHOOK if deliveries else check.channel,
        deliveries=deliveries,
        may_estimate=check.looks >= context.choices.settle_looks,
    )
    seen = await _settle(context, check, observation, look, read_records(named))
    if seen.verdict is Verdict.UNLISTED:
        records = await _listed(context, check, seen.since or snapshot.created_at)
        await _settle(context, check, observation, replace(look, listed=True), records)


async def _named(context: Context, record_ids: Sequence[str]) -> list[Document]:
    """The records that webhooks named, as far as they are visible."""
    found = await asyncio.gather(
        *(context.partner_center.audit_record(record_id) for record_id in record_ids)
    )
    return [document for document in found if document is not None]


async def _listed(context: Context, check: Check, since: datetime) -> list[AuditRecord]:
    """The customer's records since the last change we know of."""
    today = utc_day(context.database.clock.now())
    found: list[AuditRecord] = []
    pages = context.partner_center.audit_records(
        _first_day(since, today), today, customer_id=check.customer_id
    )
    async for page in pages:
        found += read_records(page)
    return found


def _first_day(since: datetime, today: date) -> date:
    return min(today, max(utc_day(since) - timedelta(days=1), today - RETENTION))


async def _settle(
    context: Context,
    check: Check,
    observation: Observation,
    look: Look,
    records: Sequence[AuditRecord],
) -> Seen:
    async with context.database.transaction(
        actor="provider", correlation_id=check.correlation_id
    ) as tx:
        # Records before the check's row: a pull of records takes the two in that order as well.
        await keep_records(tx, records, account_id=context.account.id)
        if not await checks.hold_lease(tx, check):
            return Seen(Verdict.STALE)  # too slow: somebody else looks by now
        seen = await observe(tx, observation, look)
        if seen.verdict is Verdict.SETTLED:
            await webhooks.settle_deliveries(tx, [d.id for d in look.deliveries], _outcome(seen))
            await checks.finish_check(tx, check)
        elif seen.verdict is not Verdict.UNLISTED:
            wait = context.choices.settle_wait_s if seen.verdict is Verdict.UNSETTLED else 0.0
            await checks.look_again(tx, check, after_s=wait, reason=seen.verdict.value)
    return seen


def _outcome(seen: Seen) -> str:
    return f"{seen.steps} steps" if seen.steps else "no news"


async def _postpone(context: Context, check: Check, error: Exception) -> None:
    """The provider did not answer usefully. Only what cannot get better by waiting is given up."""
    final = isinstance(error, Invalid) or (
        isinstance(error, ProviderRefused) and error.status in FINAL
    )
    give_up = final and check.attempts + 1 >= TRIES_BEFORE_FAILED
    asked = error.after_s if isinstance(error, ProviderBusy) else None
    async with context.database.transaction(correlation_id=check.correlation_id) as tx:
        await checks.try_again(
            tx,
            check,
            after_s=retry_after(check.attempts, asked),
            reason=str(error)[:500],
            give_up=give_up,
        )
        if give_up:
            thing = f"subscription/{check.subscription_id}"
            await tx.record("subscription.check-failed", thing, reason=str(error)[:500])
