"""A simulated ConnectWise in this process, spoken to over ASGI."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.kernel.clock import FrozenClock
from simulators.app import create_app
from simulators.exact_json import dumps, loads
from simulators.frame import World

SEED: dict[str, Any] = {
    "tenant": {"company_id": "msp", "public_key": "pub", "private_key": "priv"},
    "companies": [{"id": 250, "name": "Alder Dental", "identifier": "Alder"}],
    "custom_fields": [{"id": 12, "caption": "BCS Key", "screen": "additions"}],
    "catalog": [
        {"id": 5, "identifier": "BP-A", "price": 22, "cost": 18, "integrationXRef": "bp-annual"},
        {"id": 6, "identifier": "BP-M", "price": 27, "cost": 21, "taxableFlag": False},
        {"id": 7, "identifier": "BUNDLE", "productClass": "Bundle"},
    ],
    "agreements": [
        {"id": 70, "name": "ALD-1", "company": {"id": 250}, "startDate": "2026-03-01T00:00:00Z"}
    ],
}


class Client:
    """The vendor's API and its levers, with exact numbers."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.codebase = "v2025_1/"

    async def api(
        self, method: str, path: str, body: Any = None, **given: Any
    ) -> tuple[int, Any, httpx.Headers]:
        token = base64.b64encode(b"msp+pub:priv").decode()
        headers = {"authorization": f"Basic {token}", "clientid": "client-guid"}
        headers |= given.pop("headers", {})
        answer = await self.http.request(
            method,
            f"/connectwise/{self.codebase}apis/3.0{path}",
            content=None if body is None else dumps(body),
            headers=headers,
            params=given or None,
        )
        is_json = "json" in answer.headers.get("content-type", "") and answer.content
        return answer.status_code, loads(answer.content) if is_json else answer.text, answer.headers

    async def body(self, method: str, path: str, body: Any = None, **given: Any) -> Any:
        status, document, _ = await self.api(method, path, body, **given)
        assert status < 300, document
        return document

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else dumps(body)
        answer = await self.http.request(method, f"/connectwise/_control{path}", content=content)
        assert answer.status_code < 300, answer.text
        return loads(answer.content) if answer.content else None

    async def violations(self) -> list[str]:
        found = (await self.control("GET", "/violations"))["violations"]
        return [f"{v['side']}: {v['detail']}" for v in found]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 4, 1, 9, tzinfo=UTC))


@pytest.fixture
async def client(clock: FrozenClock) -> AsyncIterator[Client]:
    nobody = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(404)))
    world = World(clock=clock, base_url="http://sim", http=nobody)
    board = create_app(world, names=["connectwise"])
    transport = httpx.ASGITransport(app=board)
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        client = Client(http)
        await client.control("PUT", "/state", SEED)
        yield client
        breaches = await client.violations()
        assert [b for b in breaches if b.startswith("simulator")] == []
    await board.aclose()
