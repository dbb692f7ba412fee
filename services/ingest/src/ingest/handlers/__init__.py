"""What ingest does when something arrives or falls due; one module per piece of work.

Ingest consumes no events: its triggers are webhooks, requests and its own schedule.
"""

from __future__ import annotations

from shared.runtime.handlers import Handlers

CHECKS = "checks"
ORDERS = "orders"
SYNCS = "syncs"
SWEEPS = "sweeps"
EXPORTS = "exports"
PRICE_SHEETS = "price-sheets"
SCHEDULE = "schedule"
RECOVERY = "recovery"

HANDLERS: Handlers = {}
