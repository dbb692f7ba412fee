"""What a person has to look at, over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from payments.store import attempts, billing
from shared.runtime.postgres import Database, Record
from shared.runtime.web import Reads, page


def router(database: Database) -> APIRouter:
    """Routes under /v1/holds."""
    routes = APIRouter(prefix="/v1", tags=["holds"])

    @routes.get("/holds", operation_id="holds.list")
    async def list_holds(caller: Reads) -> dict[str, Any]:
        """What a person has to look at, oldest first; at most 500 of each kind."""
        async with database.read() as reader:
            held = [_held_attempt(row) for row in await attempts.problems(reader)]
            held += [_held_event(row) for row in await billing.unmatched_events(reader)]
        return page(sorted(held, key=lambda hold: (hold["since"], hold["id"])))

    return routes


def _held_attempt(row: Record) -> dict[str, Any]:
    return {
        "id": row["attempt_id"],
        "reason": row["problem"] or "payer_action_required",
        "detail": row["problem_detail"] or "the payer has to confirm this payment",
        "object": f"payment/{row['attempt_id']}",
        "since": row["since"],
        "key": row["account_id"],
    }


def _held_event(row: Record) -> dict[str, Any]:
    return {
        "id": row["event_id"],
        "reason": "unknown_payment",
        "detail": f"{row['type']} is about {row['payment_id']}, which no attempt of ours made",
        "object": f"webhook/{row['provider']}/{row['event_id']}",
        "since": row["received_at"],
        "key": row["payment_id"],
    }
