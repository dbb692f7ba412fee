"""The HTTP face of rating: prices in, charges and their reasons out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from fastapi import APIRouter

from rating.api import (
    allocations,
    charges,
    licence_log,
    price_changes,
    price_sheets,
    prices,
    promotions,
    provider_side,
    renewals,
    replays,
    simulations,
    usage,
)
from shared.runtime.postgres import Database


def router(database: Database, thresholds: Mapping[str, Decimal]) -> APIRouter:
    """All routes under /v1; `thresholds` say from when on a price change needs two people."""
    routes = APIRouter(prefix="/v1", tags=["rating"])
    parts = (allocations, charges, licence_log, provider_side, usage, price_sheets)
    for part in (*parts, simulations, replays, renewals):
        routes.include_router(part.router(database))
    for entering in (prices, promotions, price_changes):
        routes.include_router(entering.router(database, thresholds))
    return routes
