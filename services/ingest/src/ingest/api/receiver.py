"""Where the provider posts its notifications. Public, because a signature proves the sender."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ingest.clients.certificates import Certificates, CertificateUnavailable
from ingest.domain.signature import HeaderMissing
from ingest.handlers.context import Accounts, Context
from ingest.handlers.receiving import QUARANTINED, Delivered, Received, Reception, receive
from shared.kernel.errors import Invalid
from shared.runtime.problems import problem
from shared.runtime.refusals import Refusals

MAX_BODY_BYTES = 256 * 1024
RETRY_AFTER_S = 5


_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": "Signed and unusable: kept in quarantine."},
    400: {"description": "A header of the signature is missing."},
    401: {"description": "Not signed by the provider; the refusal is on the audit trail."},
    413: {"description": "More than 256 KiB."},
    503: {"description": "The certificate cannot be fetched now; send it again."},
}


class SignatureHeaders(BaseModel):
    """Declared for the document; they are read with all the others."""

    signature: str | None = Field(None, alias="x-ms-signature")
    certificate: str | None = Field(None, alias="x-ms-certificate-url")
    algorithm: str | None = Field(None, alias="x-ms-signature-algorithm")


def router(accounts: Accounts, certificates: Certificates) -> APIRouter:
    routes = APIRouter(tags=["webhooks"])
    reception = Reception(certificates, Refusals())

    @routes.post("/webhooks/partner-center", operation_id="webhooks.receive", responses=_RESPONSES)
    async def receive_webhook(
        request: Request, signed: Annotated[SignatureHeaders, Header()]
    ) -> Response:
        """Verify the signature over the raw body, store the notification, answer.

        The signature may also come as `Authorization: Signature <base64>`.
        """
        return await _receive(accounts.default, reception, request)

    @routes.post(
        "/webhooks/partner-center/{account_id}",
        operation_id="webhooks.receive-for-account",
        responses=_RESPONSES | {404: {"description": "There is no such account."}},
    )
    async def receive_for_account(
        account_id: str, request: Request, signed: Annotated[SignatureHeaders, Header()]
    ) -> Response:
        """The receiver of a further account, which its tenant has registered."""
        try:
            context = accounts.of(account_id)
        except Invalid as unknown:
            return problem(request, 404, unknown.code, "there is no such account")
        return await _receive(context, reception, request)

    return routes


async def _receive(context: Context, reception: Reception, request: Request) -> Response:
    body = await _body(request)
    if body is None:
        detail = f"a notification has at most {MAX_BODY_BYTES} bytes"
        return problem(request, 413, "body_too_large", detail)
    try:
        received = await receive(context, reception, Delivered(request.headers, body))
    except Invalid as refusal:
        status = 400 if isinstance(refusal, HeaderMissing) else 401
        return problem(request, status, refusal.code, refusal.detail)
    except CertificateUnavailable:
        detail = "the certificate cannot be fetched now"
        return problem(request, 503, "certificate_unavailable", detail, retry_after_s=RETRY_AFTER_S)
    return _answer(received)


def _answer(received: Received) -> Response:
    status = 202 if received.result == QUARANTINED else 200
    body = {"id": received.id, "result": received.result, "reason": received.reason}
    return JSONResponse(body, status_code=status)


async def _body(request: Request) -> bytes | None:
    """The raw body; None when it is longer than any notification."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return None
    return body
