"""A sync: pull everybody's activity records, then compare every subscription with its mirror.

It finds what no webhook told: lost events, purchases, renewals without any event. A subscription
that differs is looked at on its own; one never seen before is mirrored from the collection at once,
because a first sync would otherwise read every subscription twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import structlog

from ingest.clients.errors import ProviderBusy, ProviderError, ProviderRefused
from ingest.clients.partner_center import Document
from ingest.domain.audit_records import SUCCEEDED, AuditRecord
from ingest.domain.documents import Fields
from ingest.domain.snapshots import Snapshot, State, read_snapshot
from ingest.handlers import CHECKS, SWEEPS
from ingest.handlers.context import Context, retry_after
from ingest.handlers.heartbeat import LeaseLost, kept
from ingest.handlers.looking import AUDIT, RETENTION, SWEEP
from ingest.handlers.observing import Look, MirrorMoved, Verdict, observe
from ingest.handlers.records import keep_records, read_records
from ingest.store import checks, subscriptions, syncs
from ingest.store.checks import Wanted
from ingest.store.subscriptions import Observation
from ingest.store.syncs import CustomerSweep, Sync
from shared.kernel.errors import Invalid
from shared.kernel.periods import utc_day
from shared.runtime.postgres import Transaction

log = structlog.get_logger()

OVERLAP = timedelta(days=1)  # records may become visible late
TRIES = 8
FIRST_LOOKS = 100  # new subscriptions a transaction


async def start_sync(context: Context, sync: Sync) -> None:
    """Pull the records, list the customers, and let their sweeps begin."""

    async def renew() -> bool:
        async with context.database.transaction(correlation_id=sync.id) as tx:
            return await syncs.beat_sync(tx, sync)

    try:
        async with kept(f"sync {sync.id}", renew, every_s=syncs.LEASE_S / 3):
            await _start(context, sync)
    except LeaseLost as lost:
        log.warning("sync.lease-lost", reason=str(lost))  # what its holder commits counts
    except (ProviderError, OSError, Invalid) as error:
        await _retry_sync(context, sync, error)


async def sweep_customer(context: Context, sweep: CustomerSweep) -> None:
    """Compare all subscriptions of one customer with their mirrors."""

    async def renew() -> bool:
        async with context.database.transaction(correlation_id=sweep.sync_id) as tx:
            return await syncs.beat_customer(tx, sweep)

    what = f"sweep {sweep.sync_id} of {sweep.customer_id}"
    try:
        async with kept(what, renew, every_s=syncs.LEASE_S / 3):
            await _sweep(context, sweep)
    except LeaseLost as lost:
        log.warning("sweep.lease-lost", reason=str(lost))
    except (ProviderError, OSError, MirrorMoved) as error:
        await _retry_customer(context, sweep, error)


async def _start(context: Context, sync: Sync) -> None:
    await _pull_records(context, sync)
    async for page in context.partner_center.customers():
        await _add_customers(context, sync, page)
    async with context.database.transaction(correlation_id=sync.id) as tx:
        if await syncs.start_sync(tx, sync):
            tx.wake(context.job(SWEEPS))


async def _pull_records(context: Context, sync: Sync) -> None:
    account_id = context.account.id
    today = utc_day(context.database.clock.now())
    async with context.database.transaction(correlation_id=sync.id) as tx:
        await syncs.open_account(tx, account_id, tenant_id=context.account.tenant_id)
        account = await syncs.find_account(tx, account_id)
    _require_tenant(context, account)
    start = _first_day(account.records_until if account else None, today)
    async for page in context.partner_center.audit_records(start, today):
        async with context.database.transaction(actor="provider", correlation_id=sync.id) as tx:
            await _require_lease(tx, sync)
            fresh = await keep_records(tx, read_records(page), account_id=account_id)
            await syncs.count_records(tx, sync, len(fresh))
            await _look_where_records_are_news(context, tx, fresh)
    async with context.database.transaction(correlation_id=sync.id) as tx:
        await syncs.records_pulled_until(tx, account_id, today)


def _require_tenant(context: Context, known: syncs.Account | None) -> None:
    """What is mirrored under this name would be taken for gone."""
    tenant_id = context.account.tenant_id
    if known is not None and known.tenant_id.casefold() != tenant_id.casefold():
        words = f"{context.account.id} was tenant {known.tenant_id}: give {tenant_id} another name"
        raise Invalid("account_is_another_tenant", words)


def _first_day(until: date | None, today: date) -> date:
    """From the day before the last one pulled; the first time, all that is kept."""
    oldest = today - RETENTION
    return oldest if until is None else min(today, max(oldest, until - OVERLAP))


async def _look_where_records_are_news(
    context: Context, tx: Transaction, fresh: Sequence[AuditRecord]
) -> None:
    """Known subscriptions only; the sweep meets the others in a moment."""
    wanted = {
        Wanted(touch.subscription_id, record.customer_id, context.account.id)
        for record in fresh
        if record.status == SUCCEEDED
        for touch in record.touches
    }
    ids = [w.subscription_id for w in wanted]
    known = await subscriptions.known_subscriptions(tx, context.account.id, ids)
    news = [w for w in wanted if w.subscription_id in known and w.customer_id]
    if news:
        await checks.request_checks(tx, news, AUDIT)
        tx.wake(context.job(CHECKS))


async def _add_customers(context: Context, sync: Sync, page: Sequence[Document]) -> None:
    customers = {}
    for document in page:
        fields = Fields(document)
        name = Fields(fields.mapping("companyProfile")).text("companyName")
        if customer_id := fields.ident("id"):
            customers[customer_id] = (name, document)
    async with context.database.transaction(correlation_id=sync.id) as tx:
        await _require_lease(tx, sync)
        await syncs.add_customers(tx, sync, customers, account_id=context.account.id)


async def _require_lease(tx: Transaction, sync: Sync) -> None:
    if not await syncs.renew_sync(tx, sync):
        raise LeaseLost(f"sync {sync.id}: somebody else holds the lease")


async def _sweep(context: Context, sweep: CustomerSweep) -> None:
    observed_at = context.database.clock.now()
    documents = await context.partner_center.subscriptions(sweep.customer_id)
    snapshots, unreadable = _read(documents, sweep.customer_id)
    async with context.database.read() as reader:
        mirrored = await subscriptions.states_of_customer(
            reader, context.account.id, sweep.customer_id
        )
    look = Look(
        account=context.account,
        channel=SWEEP,
        listed=True,  # the sync has just pulled everybody's records
        may_estimate=False,
    )
    new = [s for s in snapshots if s.subscription_id not in mirrored]
    observations = [Observation(s, context.account.id, observed_at, sweep.read_at) for s in new]
    unsettled: list[str] = []
    for start in range(0, len(observations), FIRST_LOOKS):
        some = observations[start : start + FIRST_LOOKS]
        unsettled += await _mirror_new(context, sweep, some, look)
    seen = {s.subscription_id for s in snapshots}
    differing = [s.subscription_id for s in snapshots if _differs(s, mirrored)]
    differing += [i for i, state in mirrored.items() if i not in seen and not state.gone]
    async with context.database.transaction(correlation_id=sweep.sync_id) as tx:
        if not await syncs.hold_customer(tx, sweep):
            return
        ids = [*differing, *unreadable, *unsettled]
        await _want(context, tx, [Wanted(i, sweep.customer_id, context.account.id) for i in ids])
        await syncs.finish_customer(
            tx, sweep, account_id=context.account.id, differing=len(new) + len(differing)
        )


def _read(documents: Sequence[Document], customer_id: str) -> tuple[list[Snapshot], list[str]]:
    """The readable subscriptions, and the ids of the others, which fail visibly on their own."""
    snapshots, unreadable = [], []
    for document in documents:
        try:
            snapshots.append(read_snapshot(document, customer_id=customer_id))
        except Invalid:
            if subscription_id := Fields(document).ident("id"):
                unreadable.append(subscription_id)
    return snapshots, unreadable


def _differs(snapshot: Snapshot, mirrored: Mapping[str, State]) -> bool:
    held = mirrored.get(snapshot.subscription_id)
    return held is not None and held != snapshot.state


async def _mirror_new(
    context: Context, sweep: CustomerSweep, observations: Sequence[Observation], look: Look
) -> list[str]:
    """Mirror subscriptions never seen before. Returns those that need a look of their own."""
    unsettled = []
    async with context.database.transaction(actor="provider", correlation_id=sweep.sync_id) as tx:
        if not await syncs.hold_customer(tx, sweep):
            return []
        for observation in observations:
            try:
                async with tx.savepoint():
                    seen = await observe(tx, observation, look)
            except Invalid:  # say, another account's; its own look tells it where it can be seen
                unsettled.append(observation.snapshot.subscription_id)
                continue
            if seen.verdict is not Verdict.SETTLED:
                unsettled.append(observation.snapshot.subscription_id)
    return unsettled


async def _want(context: Context, tx: Transaction, wanted: Sequence[Wanted]) -> None:
    if wanted:
        await checks.request_checks(tx, wanted, SWEEP)
        tx.wake(context.job(CHECKS))


async def _retry_sync(context: Context, sync: Sync, error: Exception) -> None:
    asked = error.after_s if isinstance(error, ProviderBusy) else None
    final = isinstance(error, Invalid) or (
        isinstance(error, ProviderRefused) and sync.attempts + 1 >= TRIES
    )
    async with context.database.transaction(correlation_id=sync.id) as tx:
        await syncs.retry_sync(
            tx,
            sync,
            reason=str(error)[:500],
            after_s=retry_after(sync.attempts, asked),
            give_up=final,
        )
        if final:
            await tx.record("sync.failed", f"sync/{sync.id}", reason=str(error)[:500])


async def _retry_customer(context: Context, sweep: CustomerSweep, error: Exception) -> None:
    asked = error.after_s if isinstance(error, ProviderBusy) else None
    final = isinstance(error, ProviderRefused) and sweep.attempts + 1 >= TRIES
    async with context.database.transaction(correlation_id=sweep.sync_id) as tx:
        await syncs.retry_customer(
            tx,
            sweep,
            reason=str(error)[:500],
            after_s=retry_after(sweep.attempts, asked),
            give_up=final,
        )
