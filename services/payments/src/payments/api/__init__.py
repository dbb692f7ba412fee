"""The HTTP face of payments, one module per subject."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from payments.api import attempts, holds, profiles, webhooks
from shared.runtime.postgres import Database


def routers(database: Database, webhook_secrets: Sequence[str]) -> list[APIRouter]:
    """All routes of the service."""
    return [
        profiles.router(database),
        attempts.router(database),
        holds.router(database),
        webhooks.receiver(database, webhook_secrets),
    ]
