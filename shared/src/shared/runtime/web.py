"""The FastAPI factory of every service: callers, scopes, problems, paging, idempotency, limits."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.kernel.errors import Conflict, Invalid
from shared.runtime import problems, telemetry
from shared.runtime.auth import Caller, Unauthorised, Verifier
from shared.runtime.postgres import Transaction

MAX_BODY_BYTES = 1_048_576
_TOO_LARGE = f"a body may have {MAX_BODY_BYTES} bytes"
KNOWN_SCOPES = frozenset({"billing:read", "billing:operate", "pricing:admin", "platform:admin"})

FIND_KEY = """
SELECT fingerprint, status, body FROM idempotency_key
WHERE caller = $1 AND endpoint = $2 AND key = $3
"""
LOCK_KEY = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))"
KEEP_KEY = """
INSERT INTO idempotency_key (caller, endpoint, key, fingerprint, status, body, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
PRUNE_KEYS = "DELETE FROM idempotency_key WHERE created_at < $1::timestamptz - interval '30 days'"

_bearer = HTTPBearer(auto_error=False, description="OAuth2 access token of the configured issuer")


def create_app(
    name: str, *, version: str, routers: Sequence[APIRouter], verifier: Verifier
) -> FastAPI:
    """The public HTTP face of a service."""
    app = FastAPI(
        title=f"Tieout {name}", version=version, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json", separate_input_output_schemas=False,
    )  # fmt: skip
    app.state.verifier = verifier
    app.add_middleware(_BodyLimit)
    app.add_middleware(_Measured)
    problems.install(app)
    for router in routers:
        app.include_router(router)
    return app


class _BodyLimit:
    """Counts a body as it arrives, since not every body announces its length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        too_large = announced.isdecimal() and int(announced) > MAX_BODY_BYTES
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        if too_large:
            answer = problems.problem(Request(scope), 413, "body_too_large", _TOO_LARGE)
            await answer(scope, receive, send)
        else:
            await self._app(scope, counted, send)


class _Measured:
    """Time to answer, by route and status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 500  # what an error becomes outside of here

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            telemetry.HTTP_DURATION.labels(scope["method"], route, status).observe(
                perf_counter() - started
            )


def require(scope: str) -> Any:
    """`Annotated[Caller, require("billing:read")]`: the verified caller, who has this scope."""
    if scope not in KNOWN_SCOPES:
        raise ValueError(f"unknown scope {scope}")

    async def caller(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Caller:
        if credentials is None:
            raise Unauthorised("send `Authorization: Bearer <token>`")
        verifier: Verifier = request.app.state.verifier
        verified = await verifier.verify(credentials.credentials)
        if scope not in verified.scopes and "platform:admin" not in verified.scopes:
            raise problems.Forbidden(scope)
        return verified

    return Depends(caller)


Reads = Annotated[Caller, require("billing:read")]
Operates = Annotated[Caller, require("billing:operate")]
Prices = Annotated[Caller, require("pricing:admin")]
Administers = Annotated[Caller, require("platform:admin")]

Limit = Annotated[int, Query(ge=1, le=500, description="rows a page")]
CursorParam = Annotated[str | None, Query(description="`next_cursor` of the page before")]
IdempotencyKey = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


def encode_cursor(*position: object) -> str:
    """An opaque cursor for the position after the last row of a page."""
    return base64.urlsafe_b64encode(orjson.dumps(position, default=str)).decode().rstrip("=")


def decode_cursor(cursor: str | None, *, parts: int | None = None) -> list[Any] | None:
    """The position in a cursor; with `parts`, one of that many parts.

    Raises:
        Invalid: `cursor_invalid`.
    """
    if cursor is None:
        return None
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as error:
        raise Invalid("cursor_invalid", "the cursor is not one of ours") from error
    if not isinstance(position, list) or parts not in (None, len(position)):
        raise Invalid("cursor_invalid", "the cursor is not one of ours")
    return position


def page(rows: Sequence[Any], *, next_cursor: str | None = None) -> dict[str, Any]:
    """The one list shape: `{"data": […], "next_cursor": …}`."""
    return {"data": list(rows), "next_cursor": next_cursor}


async def once(
    tx: Transaction,
    endpoint: str,
    key: str,
    body: object,
    work: Callable[[], Awaitable[tuple[int, Any]]],
) -> JSONResponse:
    """Run `work` once per (caller, endpoint, key) and answer repeats with what it answered.

    `tx` is the transaction of the work: key and effect commit together.

    Raises:
        Conflict: `idempotency_key_reused` when the same key comes with another body.
    """
    fingerprint = hashlib.sha256(
        orjson.dumps(body, option=orjson.OPT_SORT_KEYS, default=str)
    ).hexdigest()
    await tx.fetchval(LOCK_KEY, f"{tx.actor}/{endpoint}/{key}")
    kept = await tx.fetchrow(FIND_KEY, tx.actor, endpoint, key)
    if kept is not None:
        if kept["fingerprint"] != fingerprint:
            raise Conflict("idempotency_key_reused", "this key was used with another body")
        headers = {"Idempotent-Replayed": "true"}
        return JSONResponse(kept["body"], status_code=kept["status"], headers=headers)
    status, answer = await work()
    plain = orjson.loads(orjson.dumps(answer, default=str))
    await tx.execute(KEEP_KEY, tx.actor, endpoint, key, fingerprint, status, plain, tx.now)
    return JSONResponse(plain, status_code=status)
