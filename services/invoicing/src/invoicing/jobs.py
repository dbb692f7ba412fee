"""Starts requested runs: each contract's earliest open date, one run per transaction."""

from __future__ import annotations

from functools import partial

from invoicing.handlers.requests import START_RUNS, start_next
from invoicing.store.runs import count_startable
from shared.runtime.jobs import Job
from shared.runtime.postgres import Database


def jobs(database: Database) -> tuple[Job, ...]:
    return (Job(START_RUNS, partial(start_one_run, database), pending=count_startable),)


async def start_one_run(database: Database) -> bool:
    """Whether there was one to start."""
    async with database.transaction() as tx:
        return await start_next(tx)
