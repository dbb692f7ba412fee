"""What every service offers its operators over HTTP: dead letters, the outbox, the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.kernel.errors import Conflict
from shared.runtime import audit, dead_letters, outbox, telemetry
from shared.runtime.handlers import Handlers
from shared.runtime.postgres import Database
from shared.runtime.web import (
    Administers,
    CursorParam,
    Limit,
    Operates,
    Reads,
    decode_cursor,
    encode_cursor,
    page,
)


class Discard(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=3, max_length=500)


class Republish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    topic: str
    since: AwareDatetime
    reason: str = Field(min_length=3, max_length=500)


def router(database: Database, handlers: Handlers) -> APIRouter:
    """Routes under /v1/dead-letters, /v1/outbox and /v1/audit."""
    routes = APIRouter(prefix="/v1", tags=["operations"])
    _add_dead_letters(routes, database, handlers)
    _add_outbox(routes, database)
    _add_audit(routes, database)
    return routes


def _add_dead_letters(routes: APIRouter, database: Database, handlers: Handlers) -> None:
    @routes.get("/dead-letters", operation_id="dead-letters.list")
    async def list_dead_letters(
        caller: Reads, status: str | None = None, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Messages that could not be handled, oldest first, each with its reason."""
        after = decode_cursor(cursor) or [0]
        async with database.read() as reader:
            rows = await dead_letters.listing(reader, status=status, after=after[0], limit=limit)
        more = encode_cursor(rows[-1]["id"]) if len(rows) == limit else None
        return page([dict(row) for row in rows], next_cursor=more)

    @routes.post("/dead-letters/{letter_id}:replay", operation_id="dead-letters.replay")
    async def replay(letter_id: int, caller: Operates) -> dict[str, str]:
        """Handle it again under the same event id, then what is parked behind it."""
        async with database.transaction(actor=caller.subject) as tx:
            failure = await dead_letters.replay(tx, letter_id, handlers)
        if failure is not None:
            raise Conflict(failure.code, failure.detail)
        return {"status": "resolved"}

    @routes.post("/dead-letters/{letter_id}:discard", operation_id="dead-letters.discard")
    async def discard(letter_id: int, body: Discard, caller: Administers) -> dict[str, str]:
        """Give a message up for good; the reason goes into the audit trail."""
        async with database.transaction(actor=caller.subject) as tx:
            await dead_letters.discard(tx, letter_id, reason=body.reason, handlers=handlers)
        return {"status": "discarded"}


def _add_outbox(routes: APIRouter, database: Database) -> None:
    @routes.post("/outbox:republish", operation_id="outbox.republish")
    async def republish(body: Republish, caller: Administers) -> dict[str, int]:
        """Send events again that a topic lost, under their ids; who has seen them passes them by.

        Sent events are kept for 35 days.
        """
        async with database.transaction(actor=caller.subject) as tx:
            count = int(await tx.fetchval(outbox.REPUBLISH, body.topic, body.since))
            await tx.record(
                "outbox.republished",
                f"topic/{body.topic}",
                after={"events": count, "since": body.since.isoformat()},
                reason=body.reason,
            )
        return {"events": count}


def _add_audit(routes: APIRouter, database: Database) -> None:
    @routes.get("/audit", operation_id="audit.list")
    async def list_audit(
        caller: Reads,
        object: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Who did what, when and why, in the order of the chain."""
        after = decode_cursor(cursor) or [0]
        async with database.read() as reader:
            rows = await reader.fetch(audit.LIST_RECORDS, object, since, until, after[0], limit)
        more = encode_cursor(rows[-1]["seq"]) if len(rows) == limit else None
        return page([dict(row) for row in rows], next_cursor=more)

    @routes.post("/audit:verify", operation_id="audit.verify")
    async def verify_audit(caller: Reads) -> dict[str, Any]:
        """Recompute the hash chain; names the first record that does not hold."""
        async with database.snapshot() as reader:
            verdict = await audit.verify(reader)
        if verdict.intact:
            telemetry.AUDIT_VERIFIED.set_to_current_time()
        return {
            "intact": verdict.intact,
            "links": verdict.links,
            "broken_at": verdict.broken_at,
            "reason": verdict.reason,
        }
