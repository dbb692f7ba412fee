"""The composition root of rating."""

from __future__ import annotations

from rating.api import router
from rating.handlers import HANDLERS
from rating.jobs import jobs
from rating.settings import RatingSettings
from shared.kernel.clock import Clock
from shared.runtime.clock import clock_from
from shared.runtime.postgres import Database
from shared.runtime.service import Service


def build(settings: RatingSettings) -> Service:
    """Everything real, nothing started."""
    clock = clock_from(settings.clock_file)
    database = Database(
        settings.database_url.get_secret_value(),
        service="rating",
        clock=clock,
        pool_size=settings.database_pool_size,
    )
    return assemble(settings, database, clock)


def assemble(settings: RatingSettings, database: Database, clock: Clock) -> Service:
    """The service around a database and a clock of the caller's choice."""
    return Service(
        name="rating",
        settings=settings,
        database=database,
        clock=clock,
        handlers=HANDLERS,
        jobs=jobs(database),
        routers=[router(database, settings.rating_approval_thresholds)],
    )
