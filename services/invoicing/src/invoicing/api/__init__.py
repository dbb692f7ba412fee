"""The HTTP face of invoicing: parties and contracts, invoice runs, invoices and their lines."""

from __future__ import annotations

from fastapi import APIRouter

from invoicing.api import invoices, parties, runs
from shared.runtime.postgres import Database


def routers(database: Database) -> tuple[APIRouter, ...]:
    """All routes, under /v1."""
    return (parties.router(database), runs.router(database), invoices.router(database))
