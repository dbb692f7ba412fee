"""The HTTP face of rating: prices in, charges and their reasons out."""

from __future__ import annotations

from fastapi import APIRouter

from rating.api import allocations, charges, licence_log, prices, provider_side, simulations, usage
from shared.runtime.postgres import Database


def router(database: Database) -> APIRouter:
    """All routes under /v1."""
    routes = APIRouter(prefix="/v1", tags=["rating"])
    for part in (allocations, prices, charges, licence_log, provider_side, usage, simulations):
        routes.include_router(part.router(database))
    return routes
