"""The public receiver of ConnectWise's callbacks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from psa_connector.clients.connectwise.callbacks import SigningKeys
from psa_connector.clients.psa import Unavailable
from psa_connector.domain.callbacks import Hint
from psa_connector.handlers import hinting
from shared.kernel.errors import Invalid
from shared.runtime import problems
from shared.runtime.postgres import Database
from shared.runtime.refusals import Refusals

CALLBACK_MAX_BYTES = 1_048_576
RETRY_AFTER_S = 5
ConnectionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore")

    key_url: str = Field(min_length=1, max_length=500)


class CallbackBody(BaseModel):
    """The part of a callback that says where to look. The record in it is not read."""

    model_config = ConfigDict(extra="ignore")

    type: str = Field(alias="Type", max_length=50)
    id: int | str = Field(alias="ID")
    metadata: Metadata = Field(alias="Metadata")

    @property
    def hint(self) -> Hint:
        return Hint(self.type.replace(" ", "").lower(), str(self.id))


def receiver(database: Database, keys: SigningKeys) -> APIRouter:
    """Believed by signature, and then only as a hint."""
    routes = APIRouter(tags=["webhooks"])
    refusals = Refusals()

    @routes.post(
        "/webhooks/connectwise/{connection}",
        operation_id="webhooks.connectwise",
        responses={
            400: {"description": "Not signed by this tenant; the refusal is on the audit trail."},
            413: {"description": "Larger than any callback."},
            429: {"description": "The secret cannot be fetched now; send it again."},
        },
    )
    async def receive(connection: ConnectionId, request: Request) -> JSONResponse:
        """A signed callback. It makes us look at the PSA; what it says is not used."""
        body = await _limited_body(request)
        if body is None:
            detail = f"a callback may have {CALLBACK_MAX_BYTES} bytes"
            return problems.problem(request, 413, "body_too_large", detail)
        try:
            said = _said(body)
            await hinting.prove(
                database,
                keys,
                connection,
                header=request.headers.get("x-content-signature"),
                body=body,
                key_url=said.metadata.key_url,
            )
        except Invalid as error:
            unrecorded = refusals.admit()
            if unrecorded is not None:
                async with database.transaction(actor="anonymous") as tx:
                    await hinting.refused(tx, connection, body, error, unrecorded=unrecorded)
            return problems.problem(request, 400, error.code, error.detail)
        except Unavailable:
            detail = "the secret of this signature cannot be fetched now"
            return problems.problem(
                request, 429, "secret_unavailable", detail, retry_after_s=RETRY_AFTER_S
            )
        async with database.transaction(actor="connectwise") as tx:
            await hinting.look(tx, connection, said.hint)
        return JSONResponse({"received": True})

    return routes


async def _limited_body(request: Request) -> bytes | None:
    """The raw body; None when it is longer than any callback."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > CALLBACK_MAX_BYTES:
            return None
    return bytes(body)


def _said(body: bytes) -> CallbackBody:
    try:
        return CallbackBody.model_validate_json(body)
    except ValidationError as error:
        raise Invalid("callback_invalid", "this is no callback of ConnectWise") from error
