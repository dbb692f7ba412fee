"""The HTTP face of ingest: the webhook receiver, orders for work, and what has been learnt."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from ingest.api import (
    evidence,
    files,
    orders,
    provider_accounts,
    receiver,
    resuming,
    subscription_orders,
)
from ingest.clients.certificates import Certificates
from ingest.handlers.context import Accounts


def routers(accounts: Accounts, certificates: Certificates) -> Sequence[APIRouter]:
    return (
        receiver.router(accounts, certificates),
        orders.router(accounts),
        resuming.router(accounts),
        subscription_orders.router(accounts),
        evidence.router(accounts.database),
        files.router(accounts.database),
        provider_accounts.router(accounts),
    )
