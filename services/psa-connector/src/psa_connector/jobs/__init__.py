"""The background work of psa-connector: planning what waited, sending what is
planned, reading back what was delivered."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from psa_connector.clients.vendors import Clients
from psa_connector.handlers.planning import PLAN, SEND
from psa_connector.handlers.sweeping import SCHEDULE_SWEEPS, SWEEP
from psa_connector.jobs.claims import Claims
from psa_connector.jobs.planning import plan_next
from psa_connector.jobs.sending import Sender
from psa_connector.jobs.sweeping import Sweeper, schedule
from psa_connector.store import queue, sources, sweeps
from psa_connector.store.queue import Pace
from shared.runtime.jobs import Job
from shared.runtime.postgres import Database


def jobs(
    database: Database,
    clients: Clients,
    pace: Pace,
    *,
    writers: int,
    timeout_s: float,
    sweep_every: timedelta,
) -> tuple[Job, ...]:
    sender = Sender(database, clients, Claims(database, pace), timeout_s=timeout_s)
    return (
        Job(PLAN, partial(plan_next, database), every_s=1.0, pending=sources.count_plannable),
        Job(SEND, sender.step, concurrency=writers, pending=queue.count_moving),
        Job(SCHEDULE_SWEEPS, partial(schedule, database, sweep_every), every_s=30.0),
        Job(SWEEP, Sweeper(database, clients).step, every_s=2.0, pending=sweeps.count_open),
    )
