"""The HTTP face of invoicing: parties and contracts, invoice runs, invoices and their lines."""

from __future__ import annotations

from fastapi import APIRouter

from invoicing.api import groups, invoices, parties, runs
from shared.runtime.postgres import Database


def routers(database: Database) -> tuple[APIRouter, ...]:
    """All routes, under /v1."""
    parts = (parties, runs, invoices, groups)
    return tuple(part.router(database) for part in parts)
