"""The HTTP face of rating: prices in, charges and their reasons out."""

from __future__ import annotations

from fastapi import APIRouter

from rating.api import (
    allocations,
    charges,
    licence_log,
    prices,
    provider_side,
    replays,
    simulations,
    usage,
)
from shared.runtime.postgres import Database


def router(database: Database) -> APIRouter:
    """All routes under /v1."""
    routes = APIRouter(prefix="/v1", tags=["rating"])
    parts = (allocations, prices, charges, licence_log, provider_side, usage, simulations, replays)
    for part in parts:
        routes.include_router(part.router(database))
    return routes
