"""Exports that wait for data, had none, or failed: a person has them asked for once more."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ingest.handlers import EXPORTS
from ingest.handlers.context import Accounts
from ingest.store import exports
from shared.kernel.errors import Conflict, NotFound
from shared.runtime.web import Operates


def router(accounts: Accounts) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["work"])

    @routes.post(
        "/usage-exports/{export_id}:retry", status_code=202, operation_id="usage-exports.retry"
    )
    async def retry_usage_export(export_id: str, caller: Operates) -> dict[str, Any]:
        """Ask the provider once more for what waits for data, had none, or failed."""
        return await _resume(accounts, export_id, "usage", caller.subject)

    @routes.post(
        "/reconciliation-exports/{export_id}:retry",
        status_code=202,
        operation_id="reconciliation-exports.retry",
    )
    async def retry_reconciliation_export(export_id: str, caller: Operates) -> dict[str, Any]:
        """Ask the provider once more for what waits for data or failed."""
        return await _resume(accounts, export_id, "reconciliation", caller.subject)

    return routes


async def _resume(accounts: Accounts, export_id: str, kind: str, actor: str) -> dict[str, Any]:
    async with accounts.database.transaction(actor=actor) as tx:
        row = await exports.find_export(tx, export_id, kind)
        if row is None:
            raise NotFound("export_unknown", "there is no such export")
        if not await exports.resume_export(tx, export_id, kind):
            raise Conflict("export_not_resumable", f"the export is {row['state']}")
        before = {"state": row["state"], "outcome": row["outcome"], "reason": row["reason"]}
        await tx.record("export.resumed", f"export/{export_id}", before=before)
        tx.wake(accounts.of(row["account_id"]).job(EXPORTS))
    return {"id": export_id, "state": "pending"}
