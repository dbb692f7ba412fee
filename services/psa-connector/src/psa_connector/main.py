"""The composition root of psa-connector."""

from __future__ import annotations

from psa_connector.api import router
from psa_connector.api.callbacks import receiver
from psa_connector.clients.connectwise.callbacks import SigningKeys
from psa_connector.clients.vendors import Clients
from psa_connector.handlers import HANDLERS
from psa_connector.jobs import jobs
from psa_connector.settings import PsaConnectorSettings
from shared.kernel.clock import Clock
from shared.runtime.clock import clock_from
from shared.runtime.postgres import Database
from shared.runtime.service import Service


def build(settings: PsaConnectorSettings) -> Service:
    """Everything real, nothing started."""
    clock = clock_from(settings.clock_file)
    # Writers hold a connection only while they claim and settle, but then all at once.
    database = Database(
        settings.database_url.get_secret_value(),
        service="psa-connector",
        clock=clock,
        pool_size=settings.database_pool_size,
    )
    return assemble(settings, database, clock)


def assemble(settings: PsaConnectorSettings, database: Database, clock: Clock) -> Service:
    """The service around a database and a clock of the caller's choice."""
    clients = Clients(settings.timing, settings.sealer)
    keys = SigningKeys(settings.timing)
    return Service(
        name="psa-connector",
        settings=settings,
        database=database,
        clock=clock,
        handlers=HANDLERS,
        jobs=jobs(
            database,
            clients,
            settings.pace,
            writers=settings.psa_connector_writers,
            timeout_s=settings.psa_connector_request_timeout_s,
            sweep_every=settings.sweep_every,
        ),
        routers=[
            router(database, clients, settings.vendor_hosts, settings.sealer),
            receiver(database, keys),
        ],
        closing=[clients.close, keys.close],
    )
