"""Every answer that is no success has one shape, a stable code, and tells nothing internal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, Request
from prometheus_client import REGISTRY
from pydantic import BaseModel

from shared.kernel.errors import Conflict, Held, Invalid, NotFound
from shared.runtime.auth import Caller, Unauthorised, Verifier
from shared.runtime.kafka import BusError
from shared.runtime.web import (
    MAX_BODY_BYTES,
    Reads,
    create_app,
    decode_cursor,
    encode_cursor,
    require,
)

SECRET = "postgresql://rating:hunter2@db.internal/tieout"


class Order(BaseModel):
    count: int


def failing(error: Exception) -> Any:
    async def route() -> None:
        raise error

    return route


ERRORS: dict[str, tuple[Exception, int, str]] = {
    "invalid": (Invalid("price_negative", "below zero"), 422, "price_negative"),
    "unknown": (NotFound("invoice_unknown", "no such"), 404, "invoice_unknown"),
    "conflict": (Conflict("already_final", "too late"), 409, "already_final"),
    "held": (Held("no_price", "wait"), 409, "no_price"),
    "defect": (ValueError(SECRET), 500, "internal_error"),
    "defect-in-sql": (asyncpg.UndefinedColumnError(SECRET), 500, "internal_error"),
    "year-zero": (asyncpg.DataError(SECRET), 422, "value_not_storable"),
    "nul-in-text": (asyncpg.CharacterNotInRepertoireError(SECRET), 422, "value_not_storable"),
    "unauthorised": (Unauthorised("no"), 401, "unauthorised"),
    "database-gone": (ConnectionRefusedError(SECRET), 503, "dependency_unavailable"),
    "switchover": (asyncpg.CannotConnectNowError(SECRET), 503, "dependency_unavailable"),
    "deadlock": (asyncpg.DeadlockDetectedError(SECRET), 503, "dependency_unavailable"),
    "broker-gone": (BusError(SECRET), 503, "dependency_unavailable"),
    "timeout": (TimeoutError(SECRET), 503, "dependency_unavailable"),
}


class TokenIsScopes(Verifier):
    """Believes that a token is the list of its scopes."""

    def __init__(self) -> None:
        super().__init__(issuer="i", audience="a", jwks_url="http://127.0.0.1:9/keys")

    async def verify(self, token: str) -> Caller:
        if token == "expired":
            raise Unauthorised("the bearer token is not valid: Signature has expired")
        return Caller("somebody", frozenset(token.split(",")))


def routes() -> APIRouter:
    router = APIRouter()
    for name, (error, _, _) in ERRORS.items():
        router.add_api_route(f"/fail/{name}", failing(error))

    @router.post("/orders")
    async def order(body: Order) -> int:
        return body.count

    @router.get("/orders/{number}")
    async def one(number: int, caller: Reads) -> str:
        return caller.subject

    @router.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    return router


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app("test", version="1", routers=[routes()], verifier=TokenIsScopes())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (status, status, code) == (answer.status_code, body["status"], body["code"])
    assert body["type"] == f"urn:tieout:problem:{code.replace('_', '-')}"
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == answer.request.url.path
    assert body["retryable"] == (status in {429, 503})
    return body


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_becomes_its_problem(api: httpx.AsyncClient, name: str) -> None:
    """The status follows from the class, the code from the error; internals stay in the log."""
    _, status, code = ERRORS[name]

    answer = await api.get(f"/fail/{name}")

    assert_problem(answer, status, code)
    assert "hunter2" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)
    assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)


async def test_what_a_domain_error_knows_is_told(api: httpx.AsyncClient) -> None:
    """Data of the error travels as data, beside the sentence."""
    app = create_app("test", version="1", routers=[], verifier=TokenIsScopes())
    error = Held("no_price", "wait", product="CFQ7:0001")
    app.add_api_route("/held", failing(error))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        body = assert_problem(await client.get("/held"), 409, "no_price")

    assert body["data"] == {"product": "CFQ7:0001"}


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "code"),
    [
        pytest.param("GET", "/nowhere", {}, 404, "not_found", id="no such route"),
        pytest.param("DELETE", "/orders", {}, 405, "method_not_allowed", id="no such method"),
        pytest.param("POST", "/orders", {"json": {}}, 422, "request_invalid", id="field missing"),
        pytest.param(
            "POST", "/orders", {"json": {"count": "x"}}, 422, "request_invalid", id="wrong type"
        ),
        pytest.param(
            "POST",
            "/orders",
            {"content": b'{"count": ', "headers": {"Content-Type": "application/json"}},
            400,
            "json_malformed",
            id="broken JSON",
        ),
        pytest.param(
            "POST",
            "/orders",
            {"content": b"\xff\xfe", "headers": {"Content-Type": "application/json"}},
            400,
            "json_malformed",
            id="not even text",
        ),
        pytest.param(
            "POST",
            "/orders",
            {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}},
            400,
            "bad_request",
            id="too deep",
        ),
        pytest.param(
            "POST",
            "/orders",
            {"content": b'{"count": 1}', "headers": {"Content-Type": "text/plain"}},
            415,
            "unsupported_media_type",
            id="JSON that says it is text",
        ),
        pytest.param(
            "POST", "/orders", {"data": {"count": "1"}}, 415, "unsupported_media_type", id="form"
        ),
        pytest.param(
            "POST",
            "/orders",
            {"content": b'{"count": 1}'},
            415,
            "unsupported_media_type",
            id="no type at all",
        ),
        pytest.param("GET", "/orders/1", {}, 401, "unauthorised", id="no token"),
        pytest.param(
            "GET",
            "/orders/1",
            {"headers": {"Authorization": "Basic dXNlcjpwdw=="}},
            401,
            "unauthorised",
            id="another scheme",
        ),
        pytest.param(
            "GET",
            "/orders/1",
            {"headers": {"Authorization": "Bearer expired"}},
            401,
            "unauthorised",
            id="bad token",
        ),
        pytest.param(
            "GET",
            "/orders/1",
            {"headers": {"Authorization": "Bearer pricing:admin"}},
            403,
            "forbidden",
            id="wrong scope",
        ),
        pytest.param(
            "GET",
            "/orders/x",
            {"headers": {"Authorization": "Bearer billing:read"}},
            422,
            "request_invalid",
            id="bad path parameter",
        ),
    ],
)
async def test_a_request_that_does_not_fit_is_told_why(
    api: httpx.AsyncClient, method: str, path: str, given: dict[str, Any], status: int, code: str
) -> None:
    """Also where the framework answers before any code of ours."""
    answer = await api.request(method, path, **given)

    assert_problem(answer, status, code)


async def test_a_wrong_method_names_the_right_ones(api: httpx.AsyncClient) -> None:
    """RFC 9110: 405 comes with `Allow`."""
    answer = await api.delete("/orders")

    assert answer.headers["allow"] == "POST"


async def test_faults_are_located(api: httpx.AsyncClient) -> None:
    """One entry per fault, with a pointer into the request."""
    body = (await api.post("/orders", json={"count": "x"})).json()

    assert [(e["pointer"], e["code"]) for e in body["errors"]] == [("/body/count", "int_parsing")]


async def test_a_json_family_type_is_json(api: httpx.AsyncClient) -> None:
    """`application/…+json; charset=…` is accepted."""
    answer = await api.post(
        "/orders",
        content=b'{"count": 7}',
        headers={"Content-Type": "application/merge-patch+json; charset=utf-8"},
    )

    assert (answer.status_code, answer.json()) == (200, 7)


async def _pieces(size: int) -> AsyncIterator[bytes]:
    while size > 0:
        yield b" " * min(size, 65_536)
        size -= 65_536


@pytest.mark.parametrize("path", ["/orders", "/raw"])
@pytest.mark.parametrize("announced", [True, False], ids=["with length", "chunked"])
async def test_a_body_over_the_limit_is_refused(
    api: httpx.AsyncClient, path: str, announced: bool
) -> None:
    """Whether or not it says how long it is."""
    size = MAX_BODY_BYTES + 1
    content = b" " * size if announced else _pieces(size)
    answer = await api.post(path, content=content, headers={"Content-Type": "application/json"})

    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("announced", [True, False], ids=["with length", "chunked"])
async def test_a_body_at_the_limit_is_read(api: httpx.AsyncClient, announced: bool) -> None:
    """The limit itself is allowed."""
    content = b" " * MAX_BODY_BYTES if announced else _pieces(MAX_BODY_BYTES)
    answer = await api.post("/raw", content=content)

    assert answer.json() == MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/fail/defect", "/fail/defect", "500"),
        ("/fail/held", "/fail/held", "409"),
        ("/nowhere", "unmatched", "404"),
    ],
)
async def test_every_answer_is_measured(
    api: httpx.AsyncClient, path: str, route: str, status: str
) -> None:
    """An error rate without the errors would be no alarm."""
    labels = {"method": "GET", "route": route, "status": status}
    name = "tieout_http_server_request_duration_seconds_count"
    before = REGISTRY.get_sample_value(name, labels) or 0

    await api.get(path)

    assert before + 1 == REGISTRY.get_sample_value(name, labels)


async def test_the_administrator_may_do_everything(api: httpx.AsyncClient) -> None:
    """`platform:admin` includes every other scope."""
    answer = await api.get("/orders/1", headers={"Authorization": "Bearer platform:admin"})

    assert (answer.status_code, answer.json()) == (200, "somebody")


def test_a_scope_that_does_not_exist_fails_at_import() -> None:
    """A misspelt scope must not become a door that nobody can open, or everybody."""
    with pytest.raises(ValueError, match="unknown scope"):
        require("billing:raed")


@pytest.mark.parametrize("position", [("2026-05-01", 7), (0,), ("ü/+=", None)])
def test_a_cursor_comes_back_as_it_went(position: tuple[object, ...]) -> None:
    """Opaque to callers, exact for us, and safe in a URL."""
    cursor = encode_cursor(*position)

    assert list(position) == decode_cursor(cursor)
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("cursor", ["!", "x", "ü", "eyJhIjoxfQ", "MTIz", "////"])
def test_a_cursor_of_somebody_elses_making_is_refused(cursor: str) -> None:
    """A typo is the caller's error, not ours."""
    with pytest.raises(Invalid) as refused:
        decode_cursor(cursor)

    assert refused.value.code == "cursor_invalid"
