"""psa-connector over HTTP: connections, mappings, intents, sweeps, drift, holds."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from psa_connector.api import (
    adoptions,
    connections,
    drift,
    intents,
    mapping_sheets,
    mappings,
    preflights,
    previews,
)
from psa_connector.clients.vendors import Clients
from shared.runtime.postgres import Database
from shared.runtime.sealing import Sealer


def router(
    database: Database, clients: Clients, vendor_hosts: Sequence[str], sealer: Sealer
) -> APIRouter:
    """Routes under /v1."""
    routes = APIRouter(prefix="/v1", tags=["psa"])
    adoptions.add_routes(routes, database, clients)
    connections.add_routes(routes, database, tuple(vendor_hosts), sealer)
    mapping_sheets.add_routes(routes, database, clients)
    mappings.add_routes(routes, database)
    intents.add_routes(routes, database)
    preflights.add_routes(routes, database, clients)
    previews.add_routes(routes, database, clients)
    drift.add_routes(routes, database)
    return routes
