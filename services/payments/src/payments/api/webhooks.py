"""The public receiver of Stripe's webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from payments.api.fields import Key
from payments.domain.signature import verify
from payments.handlers import webhooks
from payments.store.billing import ProviderEvent
from shared.kernel.errors import Invalid
from shared.kernel.ids import sha256_hex
from shared.runtime import problems
from shared.runtime.http import loads
from shared.runtime.postgres import Database
from shared.runtime.refusals import Refusals

WEBHOOK_MAX_BYTES = 262_144


class EventMetadata(BaseModel):
    """What we put into the metadata of a payment."""

    attempt_id: Key | None = None


class EventObject(BaseModel):
    """The object of a webhook; only its identity is used."""

    id: Key | None = None
    object: str | None = None
    metadata: EventMetadata | None = None


class EventData(BaseModel):
    object: EventObject


class EventBody(BaseModel):
    """The part of a Stripe event that says where to look."""

    id: Key
    type: Key
    created: int
    data: EventData


def receiver(database: Database, secrets: Sequence[str]) -> APIRouter:
    """The public receiver of Stripe's webhooks: believed by signature, kept before answering."""
    routes = APIRouter(tags=["webhooks"])
    refusals = Refusals()

    @routes.post("/webhooks/stripe", operation_id="webhooks.stripe")
    async def receive(request: Request) -> JSONResponse:
        """A signed event of Stripe. A repeat is answered alike and does nothing."""
        body = await _limited_body(request)
        if body is None:
            return problems.problem(
                request, 413, "body_too_large", f"a webhook may have {WEBHOOK_MAX_BYTES} bytes"
            )
        try:
            header = request.headers.get("stripe-signature")
            verify(header, body, secrets=secrets, now=database.clock.now())
            event = _event(body)
        except Invalid as error:
            unrecorded = refusals.admit()
            if unrecorded is not None:
                async with database.transaction(actor="anonymous") as tx:
                    await webhooks.refused(tx, "stripe", body, error, unrecorded=unrecorded)
            return problems.problem(request, 400, error.code, error.detail)
        async with database.transaction(actor="stripe", correlation_id=event.event_id) as tx:
            new = await webhooks.received(tx, event)
        return JSONResponse({"received": True, "repeat": not new})

    return routes


async def _limited_body(request: Request) -> bytes | None:
    """The raw bytes, or None when there are too many; a declared length is not relied on."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > WEBHOOK_MAX_BYTES:
            return None
    return bytes(body)


def _event(body: bytes) -> ProviderEvent:
    try:
        parsed = EventBody.model_validate(loads(body))
        occurred_at = datetime.fromtimestamp(parsed.created, tz=UTC)
    except (ValueError, ValidationError, OverflowError) as error:
        raise Invalid("event_malformed", "the signed body is not an event") from error
    about = parsed.data.object
    return ProviderEvent(
        provider="stripe",
        event_id=parsed.id,
        type=parsed.type,
        payment_id=about.id if about.object == "payment_intent" else None,
        attempt_id=None if about.metadata is None else about.metadata.attempt_id,
        body_sha256=sha256_hex(body),
        occurred_at=occurred_at,
    )
