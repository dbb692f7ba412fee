"""Where the provider posts its notifications. Public, because a signature proves the sender."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from ingest.clients.certificates import Certificates, CertificateUnavailable
from ingest.domain.signature import HeaderMissing
from ingest.handlers.receiving import QUARANTINED, Received, Reception, receive
from shared.kernel.errors import Invalid
from shared.runtime.postgres import Database
from shared.runtime.problems import problem
from shared.runtime.refusals import Refusals

MAX_BODY_BYTES = 256 * 1024
RETRY_AFTER_S = 5


def router(database: Database, certificates: Certificates) -> APIRouter:
    routes = APIRouter(tags=["webhooks"])
    reception = Reception(database, certificates, Refusals())

    @routes.post(
        "/webhooks/partner-center",
        operation_id="webhooks.receive",
        responses={
            202: {"description": "Signed and unusable: kept in quarantine."},
            400: {"description": "A header of the signature is missing."},
            401: {"description": "Not signed by the provider; the refusal is on the audit trail."},
            413: {"description": "More than 256 KiB."},
            503: {"description": "The certificate cannot be fetched now; send it again."},
        },
    )
    async def receive_webhook(
        request: Request,
        signature: Annotated[str | None, Header(alias="x-ms-signature")] = None,
        certificate: Annotated[str | None, Header(alias="x-ms-certificate-url")] = None,
        algorithm: Annotated[str | None, Header(alias="x-ms-signature-algorithm")] = None,
    ) -> Response:
        """Verify the signature over the raw body, store the notification, answer.

        The signature may also come as `Authorization: Signature <base64>`.
        """
        del signature, certificate, algorithm  # declared for the document, read with the others
        body = await _body(request)
        if body is None:
            detail = f"a notification has at most {MAX_BODY_BYTES} bytes"
            return problem(request, 413, "body_too_large", detail)
        try:
            received = await receive(reception, request.headers, body)
        except Invalid as refusal:
            status = 400 if isinstance(refusal, HeaderMissing) else 401
            return problem(request, status, refusal.code, refusal.detail)
        except CertificateUnavailable:
            detail = "the certificate cannot be fetched now"
            return problem(
                request, 503, "certificate_unavailable", detail, retry_after_s=RETRY_AFTER_S
            )
        return _answer(received)

    return routes


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
