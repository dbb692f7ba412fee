"""The composition root of invoicing."""

from __future__ import annotations

from invoicing.api import routers
from invoicing.handlers import HANDLERS
from invoicing.jobs import jobs
from invoicing.settings import InvoicingSettings
from shared.kernel.clock import Clock
from shared.runtime.clock import clock_from
from shared.runtime.postgres import Database
from shared.runtime.service import Service


def build(settings: InvoicingSettings) -> Service:
    """Everything real, nothing started."""
    clock = clock_from(settings.clock_file)
    database = Database(
        settings.database_url.get_secret_value(),
        service="invoicing",
        clock=clock,
        pool_size=settings.database_pool_size,
    )
    return assemble(settings, database, clock)


def assemble(settings: InvoicingSettings, database: Database, clock: Clock) -> Service:
    """The service around a database and a clock of the caller's choice."""
    return Service(
        name="invoicing",
        settings=settings,
        database=database,
        clock=clock,
        handlers=HANDLERS,
        jobs=jobs(database),
        routers=routers(database),
    )
