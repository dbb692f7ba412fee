"""Attempts over HTTP: begin one, look at them, ask the provider about one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from payments.api.fields import Key, KeyPath, KeyQuery
from payments.handlers import charges, outcomes
from payments.store import attempts
from shared.kernel.errors import Conflict, Invalid, NotFound
from shared.runtime.postgres import Database, Record
from shared.runtime.web import (
    CursorParam,
    IdempotencyKey,
    Limit,
    Operates,
    Reads,
    decode_cursor,
    encode_cursor,
    once,
    page,
)


class AttemptBody(BaseModel):
    """Which invoice to collect."""

    model_config = ConfigDict(extra="forbid")

    invoice_id: Key


def router(database: Database) -> APIRouter:
    """Routes under /v1/attempts."""
    routes = APIRouter(prefix="/v1", tags=["attempts"])

    @routes.post("/attempts", operation_id="attempts.create", status_code=202)
    async def create_attempt(
        body: AttemptBody, key: IdempotencyKey, caller: Operates
    ) -> JSONResponse:
        """Collect a final invoice now. Refused while an outcome is open and once it is paid."""

        async def work() -> tuple[int, Any]:
            attempt_id = await charges.charge_again(tx, body.invoice_id)
            found = await attempts.find(tx, attempt_id)
            return 202, None if found is None else _attempt(found)

        async with database.transaction(actor=caller.subject) as tx:
            return await once(tx, "POST /v1/attempts", key, body.model_dump(), work)

    @routes.get("/attempts", operation_id="attempts.list")
    async def list_attempts(
        caller: Reads,
        invoice_id: KeyQuery = None,
        account_id: KeyQuery = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Attempts, oldest first, with those invoices that were not charged and why."""
        async with database.read() as reader:
            rows = await attempts.listing(
                reader,
                invoice_id=invoice_id,
                account_id=account_id,
                after=_after(cursor),
                limit=limit,
            )
        last = rows[-1] if len(rows) == limit else None
        more = encode_cursor(last["created_at"], last["attempt_id"]) if last else None
        return page([_attempt(row) for row in rows], next_cursor=more)

    @routes.get("/attempts/{attempt_id}", operation_id="attempts.get")
    async def get_attempt(attempt_id: KeyPath, caller: Reads) -> dict[str, Any]:
        """One attempt."""
        async with database.read() as reader:
            return _attempt(_known(await attempts.find(reader, attempt_id), attempt_id))

    _add_check(routes, database)
    return routes


def _add_check(routes: APIRouter, database: Database) -> None:
    @routes.post("/attempts/{attempt_id}:check", operation_id="attempts.check", status_code=202)
    async def check_attempt(attempt_id: KeyPath, caller: Operates) -> dict[str, Any]:
        """Look at the provider for the outcome of an attempt now. Nothing is charged anew."""
        async with database.transaction(actor=caller.subject) as tx:
            _known(await attempts.find(tx, attempt_id), attempt_id)
            if not await outcomes.check_now(tx, attempt_id):
                raise Conflict("attempt_settled", "this attempt has no open outcome")
            return _attempt(_known(await attempts.find(tx, attempt_id), attempt_id))


def _after(cursor: str | None) -> tuple[datetime, str] | None:
    position = decode_cursor(cursor)
    if position is None:
        return None
    try:
        created_at, attempt_id = position
        return datetime.fromisoformat(created_at), str(attempt_id)
    except (ValueError, TypeError) as error:
        raise Invalid("cursor_invalid", "the cursor belongs to another list") from error


def _known(row: Record | None, attempt_id: str) -> Record:
    if row is None:
        raise NotFound("attempt_unknown", f"there is no attempt {attempt_id}")
    return row


_SHOWN = (
    "attempt_id", "invoice_id", "invoice_number", "account_id", "seq", "trigger", "currency",
    "state", "reason", "provider", "provider_payment_id", "provider_status", "decline_code",
    "decline_class", "confirmed_by", "problem", "problem_detail", "created_at", "sent_at",
    "ended_at", "next_check_at",
)  # fmt: skip


def _attempt(row: Record) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _SHOWN},
        "amount": f"{attempts.amount_of(row).amount:f}",
    }
