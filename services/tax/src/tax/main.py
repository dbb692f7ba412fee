"""The composition root of tax."""

from __future__ import annotations

from shared.kernel.clock import Clock
from shared.runtime.clock import clock_from
from shared.runtime.postgres import Database
from shared.runtime.service import Service
from tax import store
from tax.api import routers
from tax.clients.table import ReadEntered, TableEngine, read_shipped
from tax.domain.rates import Entered
from tax.handlers import HANDLERS
from tax.jobs import jobs
from tax.settings import TaxSettings


def build(settings: TaxSettings) -> Service:
    """Everything real, nothing started."""
    clock = clock_from(settings.clock_file)
    database = Database(
        settings.database_url.get_secret_value(),
        service="tax",
        clock=clock,
        pool_size=settings.database_pool_size,
    )
    return assemble(settings, database, clock)


def assemble(settings: TaxSettings, database: Database, clock: Clock) -> Service:
    """The service around a database and a clock of the caller's choice."""
    shipped = read_shipped()
    engine = TableEngine(shipped, _entered(database))
    return Service(
        name="tax",
        settings=settings,
        database=database,
        clock=clock,
        handlers=HANDLERS,
        jobs=jobs(database, engine),
        routers=routers(database, shipped),
    )


def _entered(database: Database) -> ReadEntered:
    async def read(jurisdiction: str) -> Entered:
        async with database.read() as reader:
            return await store.entered_rates(reader, jurisdiction)

    return read
