"""Background work: claim a row, hand it to its handler, count what is open.

Every job keeps its state in the database. A claim is a lease: a worker that dies loses it, and
another one repeats the work.
"""

from __future__ import annotations

from functools import partial

from ingest import handlers
from ingest.handlers.context import Context
from ingest.jobs import schedule, work
from ingest.settings import IngestSettings
from ingest.store import checks, exports, price_sheets, subscription_orders, syncs
from shared.runtime.jobs import Job

SCHEDULE_EVERY_S = 30.0
WOKEN_EVERY_S = 2.0  # work that announces itself; the interval is for retries only


def jobs(context: Context, settings: IngestSettings) -> tuple[Job, ...]:
    return (
        Job(
            handlers.CHECKS,
            partial(work.check_some, context),
            concurrency=settings.ingest_check_workers,
            one_by_one=True,  # one of them takes all that is due
            pending=checks.count_open_checks,
        ),
        Job(
            handlers.ORDERS,
            partial(work.order_next, context),
            concurrency=2,
            pending=subscription_orders.count_open_orders,
        ),
        Job(
            handlers.SYNCS,
            partial(work.sync_next, context),
            every_s=WOKEN_EVERY_S,
            pending=syncs.count_open_syncs,
        ),
        Job(
            handlers.SWEEPS,
            partial(work.sweep_next, context),
            every_s=WOKEN_EVERY_S,
            concurrency=settings.ingest_sweep_workers,
        ),
        Job(
            handlers.EXPORTS,
            partial(work.export_next, context),
            concurrency=2,
            pending=exports.count_open_exports,
        ),
        Job(
            handlers.PRICE_SHEETS,
            partial(work.import_next, context),
            every_s=WOKEN_EVERY_S,
            pending=price_sheets.count_open_imports,
        ),
        Job(
            handlers.RECOVERY,
            work.Recovery(context).step,
            every_s=SCHEDULE_EVERY_S,
        ),
        Job(
            handlers.SCHEDULE,
            partial(schedule.sync_when_due, context),
            every_s=SCHEDULE_EVERY_S,
        ),
    )
