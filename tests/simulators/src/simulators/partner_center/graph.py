"""Graph's side of billing: exports, their operations, and the storage that holds the files."""

from __future__ import annotations

from typing import Literal
from urllib.parse import unquote

from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from simulators.exact_json import Document
from simulators.http_messages import Answer, Call, answer_of, read_call
from simulators.partner_center.edge import call_of, grant_of
from simulators.partner_center.exports import Exports
from simulators.partner_center.login import Login

_BASE = "/{version}/reports/partners/billing"


class GraphApi:
    """ASGI application of the `/graph` mount; errors have Graph's form, not Partner Center's."""

    def __init__(
        self, base_url: str, login: Login, exports: Exports, audiences: frozenset[str]
    ) -> None:
        self._base_url = base_url
        self._login = login
        self._exports = exports
        self._audiences = audiences
        self._routes = Router(
            [
                Route(_BASE + "/{what}/{state}/export", self._export, methods=["POST"]),
                Route(_BASE + "/operations/{operation}", self._operation),
                Route(_BASE + "/manifests/{manifest}", self._manifest),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await read_call(scope, receive)
        grant = self._login.grant_of(call)
        if grant is None or grant.audience not in self._audiences:
            answer = failure(401, "InvalidAuthenticationToken", "Access token is invalid.")
        else:
            answer = await answer_of(self._routes, {**scope, "grant": grant, "call": call}, call)
        await answer(scope, receive, send)

    async def _export(self, request: Request) -> Answer:
        name = _data_set(request, call_of(request).json())
        if name is None:
            return failure(400, "BadRequest", "The request body does not name a data set.")
        wanted = call_of(request).json().get("attributeSet", "full")
        attribute_set: Literal["full", "basic"] = "basic" if wanted == "basic" else "full"
        operation = self._exports.start(name, grant_of(request).tenant_id, attribute_set)
        version = request.path_params["version"]
        path = f"/graph/{version}/reports/partners/billing/operations/{operation}"
        return Answer(
            202,
            b"",
            {"location": f"{self._base_url}{path}", "retry-after": self._retry_after},
        )

    async def _operation(self, request: Request) -> Answer:
        operation_id, tenant = request.path_params["operation"], grant_of(request).tenant_id
        operation = self._exports.poll(operation_id, tenant)
        if operation is None:
            return failure(404, "ResourceNotFound", "The operation does not exist.")
        if operation.expired:
            return failure(410, "Gone", "The operation has expired.")
        answer = Answer.of(200, self._exports.operation_resource(operation))
        done = operation.failed or operation.manifest_id is not None
        return answer if done else answer.with_header("retry-after", self._retry_after)

    async def _manifest(self, request: Request) -> Answer:
        tenant = grant_of(request).tenant_id
        manifest = self._exports.manifest(request.path_params["manifest"], tenant)
        if manifest is None:
            return failure(404, "ResourceNotFound", "The manifest does not exist.")
        if manifest.expired:
            return failure(410, "Gone", "The manifest has expired.")
        return Answer.of(200, self._exports.manifest_resource(manifest))

    @property
    def _retry_after(self) -> str:
        return str(self._exports.books.switches.export_retry_after)


class BlobStorage:
    """ASGI application of the `/blob` mount: the SAS token in the query opens, a bearer spoils."""

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(await read_call(scope, receive))(scope, receive, send)

    def _answer(self, call: Call) -> Answer:
        parts = call.path.removeprefix("/blob/").split("/")
        manifest = self._exports.manifest(parts[1]) if len(parts) == 3 else None
        if manifest is None:
            return _storage_error(404, "ResourceNotFound")
        token = unquote(manifest.sas_token)
        if "authorization" in call.headers or manifest.expired or unquote(call.query) != token:
            return _storage_error(403, "AuthenticationFailed")
        content = self._exports.blob(manifest, parts[2])
        if content is None:
            return _storage_error(404, "BlobNotFound")
        return Answer(200, content, {"content-type": "application/octet-stream"})


def failure(status: int, code: str, message: str) -> Answer:
    return Answer.of(status, {"error": {"code": code, "message": message}})


def _data_set(request: Request, body: Document) -> str | None:
    what, state = request.path_params["what"], request.path_params["state"]
    if what not in ("usage", "reconciliation") or state not in ("billed", "unbilled"):
        return None
    if state == "billed":
        return f"{what}/billed/{body['invoiceId']}" if body.get("invoiceId") else None
    currency, period = body.get("currencyCode"), body.get("billingPeriod")
    if not currency or period not in ("current", "last"):
        return None
    return f"{what}/unbilled/{currency}/{period}"


def _storage_error(status: int, code: str) -> Answer:
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code></Error>'
    return Answer(
        status, text.encode(), {"content-type": "application/xml", "x-ms-error-code": code}
    )
