"""Background work: claim a row, hand it to its handler, count what is open.

Every job keeps its state in the database. A claim is a lease: a worker that dies loses it, and
another one repeats the work.
"""

from __future__ import annotations

from functools import partial

from ingest import handlers
from ingest.handlers.context import Accounts, Context
from ingest.jobs import schedule, work
from ingest.settings import IngestSettings
from ingest.store import checks, exports, price_sheets, subscription_orders, syncs
from shared.runtime.jobs import Job

SCHEDULE_EVERY_S = 30.0
WOKEN_EVERY_S = 2.0  # work that announces itself; the interval is for retries only


def jobs(accounts: Accounts, settings: IngestSettings) -> tuple[Job, ...]:
    """Every account has workers of its own: one that fails or waits keeps nobody else waiting."""
    shared = (
        Job(
            handlers.RECOVERY,
            work.Recovery(accounts).step,
            every_s=SCHEDULE_EVERY_S,
        ),
        Job(
            handlers.SCHEDULE,
            partial(schedule.sync_when_due, accounts),
            every_s=SCHEDULE_EVERY_S,
        ),
    )
    return (*(job for context in accounts for job in _of_account(context, settings)), *shared)


def _of_account(context: Context, settings: IngestSettings) -> tuple[Job, ...]:
    account_id = context.account.id
    return (
        Job(
            context.job(handlers.CHECKS),
            partial(work.check_some, context),
            concurrency=settings.ingest_check_workers,
            one_by_one=True,  # one of them takes all that is due
            pending=partial(checks.count_open_checks, account_id=account_id),
        ),
        Job(
            context.job(handlers.ORDERS),
            partial(work.order_next, context),
            concurrency=2,
            pending=partial(subscription_orders.count_open_orders, account_id=account_id),
        ),
        Job(
            context.job(handlers.SYNCS),
            partial(work.sync_next, context),
            every_s=WOKEN_EVERY_S,
            pending=partial(syncs.count_open_syncs, account_id=account_id),
        ),
        Job(
            context.job(handlers.SWEEPS),
            partial(work.sweep_next, context),
            every_s=WOKEN_EVERY_S,
            concurrency=settings.ingest_sweep_workers,
        ),
        Job(
            context.job(handlers.EXPORTS),
            partial(work.export_next, context),
            concurrency=2,
            pending=partial(exports.count_open_exports, account_id=account_id),
        ),
        Job(
            context.job(handlers.PRICE_SHEETS),
            partial(work.import_next, context),
            every_s=WOKEN_EVERY_S,
            pending=partial(price_sheets.count_open_imports, account_id=account_id),
        ),
    )
