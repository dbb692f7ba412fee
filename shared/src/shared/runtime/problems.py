"""RFC 9457 problem details: one error shape for every non-2xx answer of every service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared.kernel.errors import Conflict, DomainError, Held, Invalid, NotFound
from shared.runtime.auth import Unauthorised
from shared.runtime.faults import is_transient

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
_STATUS: tuple[tuple[type[DomainError], int], ...] = (
    (Invalid, 422),
    (NotFound, 404),
    (Conflict, 409),
    (Held, 409),
)


class Forbidden(Exception):
    """The caller is known and may not do this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"this needs the scope {scope}")
        self.scope = scope


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[dict[str, str]] = (),
    retry_after_s: int | None = None,
    extra: dict[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer for one problem; `code` is stable, `detail` is for people."""
    body: dict[str, Any] = {
        "type": f"urn:tieout:problem:{code.replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "code": code,
        "retryable": status in {429, 503},
        **({"errors": list(errors)} if errors else {}),
        **({"data": extra} if extra else {}),
    }
    sent = dict(headers or {})
    if retry_after_s is not None:
        sent["Retry-After"] = str(retry_after_s)
    if status == 401:
        sent["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=sent)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(DomainError, _domain_error)
    app.add_exception_handler(Unauthorised, _unauthorised)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(asyncpg.DataError, _unstorable)
    app.add_exception_handler(Exception, _unexpected)


async def _domain_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DomainError)
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return problem(request, status, error.code, error.detail, extra=dict(error.data))


async def _unauthorised(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unauthorised)
    log.warning("request.unauthorised", path=request.url.path, detail=error.detail)
    return problem(request, 401, "unauthorised", error.detail)


async def _forbidden(request: Request, error: Exception) -> JSONResponse:
    log.warning("request.forbidden", path=request.url.path, detail=str(error))
    return problem(request, 403, "forbidden", str(error))


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    errors = [
        {
            "pointer": "/" + "/".join(str(part) for part in fault["loc"]),
            "code": str(fault["type"]),
            "message": str(fault["msg"]),
        }
        for fault in faults
    ]
    unread = any(tuple(f["loc"]) == ("body",) and f["type"] != "missing" for f in faults)
    if unread and not _says_json(request):
        return problem(request, 415, "unsupported_media_type", "send application/json")
    malformed = any(fault["type"] == "json_invalid" for fault in faults)
    status, code = (400, "json_malformed") if malformed else (422, "request_invalid")
    return problem(request, status, code, "the request does not fit the API", errors=errors)


def _says_json(request: Request) -> bool:
    """Whether the body claims to be JSON; FastAPI hands others to the model as raw bytes."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


async def _unstorable(request: Request, error: Exception) -> JSONResponse:
    """A value of the right kind that the database has no room for: 2**70, a year 0, a NUL.

    Logged as an error: it may as well be a statement of ours that is wrong.
    """
    log.error("request.value_not_storable", path=request.url.path, error=repr(error))
    detail = "a value in this request is outside of what can be stored or looked up"
    return problem(request, 422, "value_not_storable", detail)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    code = "body_too_large" if error.status_code == 413 else phrase
    return problem(request, error.status_code, code, str(error.detail), headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.exception("request.failed", path=request.url.path, exc_info=error)
    if is_transient(error):
        detail = "something this service depends on does not answer; try again"
        return problem(request, 503, "dependency_unavailable", detail, retry_after_s=2)
    return problem(request, 500, "internal_error", "an unexpected error; it is in the log")
