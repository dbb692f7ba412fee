"""The operators' API refuses what it cannot look up, and never with an error of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from shared.runtime import operations
from shared.runtime.auth import Caller
from shared.runtime.postgres import Database
from shared.runtime.web import create_app, encode_cursor
from support.in_process import EverybodyIs


def client(database: Database, scopes: str) -> httpx.AsyncClient:
    app = create_app(
        "test",
        version="1",
        routers=[operations.router(database, {})],
        verifier=EverybodyIs(Caller("operator", frozenset(scopes.split()))),
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer x"}
    return httpx.AsyncClient(transport=transport, base_url="http://s", headers=headers)


@pytest.fixture
async def api(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with client(database, "platform:admin") as made:
        yield made


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/audit?cursor={encode_cursor('x')}",
        f"/v1/audit?cursor={encode_cursor([1])}",
        "/v1/audit?cursor=nonsense",
        "/v1/audit?object=%00",
        "/v1/audit?since=0001-01-01T00:00:00%2B23:00",
        "/v1/audit?until=9999-12-31T23:59:59-23:00",
        "/v1/audit?since=yesterday",
        "/v1/audit?limit=0",
        "/v1/audit?limit=501",
        "/v1/dead-letters?status=%00",
    ],
)
async def test_a_question_that_makes_no_sense_is_the_callers_fault(
    api: httpx.AsyncClient, path: str
) -> None:
    """422 with a code, not 500."""
    answer = await api.get(path)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("number", [str(2**70), "-1", "x"])
async def test_no_number_of_a_letter_breaks_the_route(api: httpx.AsyncClient, number: str) -> None:
    """Too large, negative, none at all."""
    answer = await api.post(f"/v1/dead-letters/{number}:replay")

    assert answer.status_code in {404, 422}


async def test_the_trail_is_read_page_by_page(database: Database, api: httpx.AsyncClient) -> None:
    """In the order of the chain, without gaps and without repeats, filtered by object."""
    async with database.transaction(actor="a") as tx:
        for number in range(7):
            await tx.record("changed", f"thing/{number % 2}")

    seen: list[int] = []
    cursor = ""
    for _ in range(10):
        query = f"object=thing/0&limit=2{cursor and f'&cursor={cursor}'}"
        page = (await api.get(f"/v1/audit?{query}")).json()
        seen += [row["seq"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]

    assert seen == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("scopes", "method", "path", "body"),
    [
        ("", "GET", "/v1/audit", None),
        ("pricing:admin", "GET", "/v1/dead-letters", None),
        ("billing:read", "POST", "/v1/dead-letters/1:replay", None),
        ("billing:read billing:operate", "POST", "/v1/dead-letters/1:discard", {"reason": "why"}),
    ],
)
async def test_operations_need_their_scope(
    database: Database, scopes: str, method: str, path: str, body: dict[str, str] | None
) -> None:
    """Reading, replaying and giving up are three rights."""
    async with client(database, scopes) as api:
        answer = await api.request(method, path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
