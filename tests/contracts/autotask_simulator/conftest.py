"""A simulated Autotask in this process, spoken to over ASGI."""

from __future__ import annotations

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
    "companies": [{"id": 3, "companyName": "Elm Legal"}],
    "billing_codes": [{"id": 5, "name": "Cloud usage", "unitPrice": 9, "unitCost": 4}],
    "services": [
        {"id": 11, "name": "E3 annual", "unitPrice": "36.80", "unitCost": "30.20"},
        {"id": 12, "name": "E5 annual", "unitPrice": 59.90, "unitCost": 48},
    ],
    "contracts": [
        {
            "id": 7,
            "companyID": 3,
            "contractName": "ELM-1",
            "startDate": "2026-05-12T00:00:00Z",
            "endDate": "2026-10-11T00:00:00Z",
        },
        {"id": 8, "companyID": 3, "contractName": "Blocks", "contractType": 4},
    ],
    "contract_services": [{"id": 21, "contractID": 7, "serviceID": 11, "units": 30}],
}
HEADERS = {
    "username": "tieout@msp.example",
    "secret": "sim-secret",
    "apiintegrationcode": "SIMINTEGRATION",
}


class Client:
    """The vendor's API in its zone, and its levers, with exact numbers."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.base = "/autotask/zone/atservicesrest/v1.0"

    async def api(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        url = path if path.startswith("http") else f"{self.base}{path}"
        content = None if body is None else dumps(body)
        answer = await self.http.request(
            method, url, content=content, headers={**HEADERS, **headers}
        )
        return answer.status_code, loads(answer.content)

    async def item(self, method: str, path: str, body: Any = None) -> Any:
        status, document = await self.api(method, path, body)
        assert status == 200, document
        return document

    async def query(self, entity: str, *filters: Any, **more: Any) -> list[dict[str, Any]]:
        document = await self.item("POST", f"/{entity}/query", {"filter": filters, **more})
        items: list[dict[str, Any]] = document["items"]
        return items

    async def units(self, contract_service: int = 21) -> list[tuple[str, str, int]]:
        rows = await self.query("ContractServiceUnits", eq("contractServiceID", contract_service))
        rows.sort(key=lambda r: (r["startDate"], r["id"]))
        return [(r["startDate"][:10], r["endDate"][:10], r["units"]) for r in rows]

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else dumps(body)
        answer = await self.http.request(method, f"/autotask/_control{path}", content=content)
        assert answer.status_code < 300, answer.text
        return loads(answer.content)

    async def violations(self) -> list[str]:
        found = (await self.control("GET", "/violations"))["violations"]
        return [f"{v['side']}: {v['detail']}" for v in found]


def eq(field: str, value: object) -> dict[str, object]:
    return {"op": "eq", "field": field, "value": value}


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 6, 9, 9, tzinfo=UTC))


@pytest.fixture
async def client(clock: FrozenClock) -> AsyncIterator[Client]:
    nobody = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(404)))
    world = World(clock=clock, base_url="http://sim", http=nobody)
    board = create_app(world, names=["autotask"])
    transport = httpx.ASGITransport(app=board)
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        client = Client(http)
        await client.control("PUT", "/state", SEED)
        yield client
        breaches = await client.violations()
        assert [b for b in breaches if b.startswith("simulator")] == []
    await board.aclose()
