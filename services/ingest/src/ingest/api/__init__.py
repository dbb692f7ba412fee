"""The HTTP face of ingest: the webhook receiver, orders for work, and what has been learnt."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from ingest.api import evidence, files, orders, receiver, resuming, subscription_orders
from ingest.clients.certificates import Certificates
from ingest.handlers.context import Context
from ingest.settings import IngestSettings


def routers(
    context: Context, certificates: Certificates, settings: IngestSettings
) -> Sequence[APIRouter]:
    return (
        receiver.router(context.database, certificates),
        orders.router(context, settings),
        resuming.router(context.database),
        subscription_orders.router(context),
        evidence.router(context.database),
        files.router(context.database),
    )
