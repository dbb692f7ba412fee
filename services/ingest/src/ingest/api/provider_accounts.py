"""The partner tenants this service works with, and how far each one is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ingest.handlers.context import Accounts
from ingest.store import syncs
from shared.runtime.web import Reads, page


def router(accounts: Accounts) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["provider accounts"])

    @routes.get("/provider-accounts", operation_id="provider-accounts.list")
    async def list_accounts(caller: Reads) -> dict[str, Any]:
        """The configured accounts, the default one first; no secrets."""
        rows = []
        async with accounts.database.read() as reader:
            for context in accounts:
                account = context.account
                known = await syncs.find_account(reader, account.id)
                rows.append(
                    {
                        "account_id": account.id,
                        "tenant_id": account.tenant_id,
                        "callback_url": account.callback_url,
                        "first_synced_at": known.first_synced_at if known else None,
                        "records_until": known.records_until if known else None,
                    }
                )
        return page(rows)

    return routes
