"""A partner's program and webhook endpoint, for tests against the simulated Partner Center."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from simulators.app import create_app
from simulators.exact_json import Document, dumps, loads
from simulators.frame import Switchboard, World
from simulators.http_messages import Answer, Call, read_call
from simulators.partner_center import PartnerCenter

TENANT = "7e0a1eb1-0000-4000-8000-000000000001"
ALDER = "a1de0000-0000-4000-8000-00000000a1de"
BIRCH = "b12c0000-0000-4000-8000-00000000b12c"
ANNUAL = "aaaaaaaa-0000-4000-8000-000000000001"
MONTHLY = "aaaaaaaa-0000-4000-8000-000000000002"

SEED: Document = {
    "tenants": [{"id": TENANT, "users": [{"upn": "admin@partner", "refresh_token": "vaulted"}]}],
    "customers": [
        {"id": ALDER, "name": "Alder Dental"},
        {"id": BIRCH, "name": "Birch Logistics", "country": "NL"},
    ],
    "subscriptions": [
        {
            "id": ANNUAL,
            "customer_id": ALDER,
            "product_id": "CFQ7TTC0LDPB",
            "name": "Business Premium",
            "term": "P1Y",
            "quantity": 40,
            "term_start": "2025-07-01",
        },
        {
            "id": MONTHLY,
            "customer_id": ALDER,
            "product_id": "CFQ7TTC0LDPB",
            "name": "Business Premium",
            "term": "P1M",
            "quantity": 6,
            "purchased_at": "2025-11-01T10:00:00Z",
            "term_start": "2026-04-01",
        },
    ],
}


class Receiver:
    """A webhook endpoint that remembers what came and answers what it is told to."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.statuses: list[int] = []  # of the next answers; 200 when empty
        self.reached = asyncio.Event()  # something has come

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls.append(await read_call(scope, receive))
        self.reached.set()
        status = self.statuses.pop(0) if self.statuses else 200
        await Answer(status)(scope, receive, send)


class Partner:
    """A signed-in program of the partner, with the simulator's levers at hand."""

    def __init__(self, http: httpx.AsyncClient, simulator: PartnerCenter) -> None:
        self.http = http
        self.simulator = simulator
        self._tokens: dict[str, str] = {}

    async def token(self, resource: str, **form: str) -> str:
        given = {
            "grant_type": "client_credentials",
            "client_id": "tieout",
            "client_secret": "s3cret",
            "scope": f"{resource}/.default",
            **form,
        }
        answer = await self.http.post(f"/login/{TENANT}/oauth2/v2.0/token", data=given)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        graph = path.startswith("/graph")
        host = "graph.microsoft.com" if graph else "api.partnercenter.microsoft.com"
        if host not in self._tokens:
            self._tokens[host] = await self.token(f"https://{host}")
        return await self.http.request(
            method,
            path if graph else f"/partner-center{path}",
            content=None if body is None else dumps(body),
            headers={"authorization": f"Bearer {self._tokens[host]}", **(headers or {})},
        )

    async def get(self, path: str, **headers: str) -> Any:
        answer = await self.call("GET", path, headers=headers)
        assert answer.status_code == 200, answer.text
        return loads(answer.content)

    async def subscription(self, subscription: str = ANNUAL, customer: str = ALDER) -> Document:
        document: Document = await self.get(
            f"/v1/customers/{customer}/subscriptions/{subscription}"
        )
        return document

    async def patch(self, body: Document, **headers: str) -> httpx.Response:
        path = f"/v1/customers/{ALDER}/subscriptions/{body.get('id', ANNUAL)}"
        return await self.call("PATCH", path, body, headers=headers)

    async def lever(self, method: str, path: str, body: Any = None) -> httpx.Response:
        content = None if body is None else dumps(body)
        return await self.http.request(method, f"/partner-center/_control{path}", content=content)

    async def pull(self, method: str, path: str, body: Any = None) -> Any:
        """A lever that must work."""
        answer = await self.lever(method, path, body)
        assert answer.status_code < 300, answer.text
        return loads(answer.content) if answer.content else None

    async def switch(self, **switches: object) -> None:
        await self.pull("PUT", "/switches", switches)

    async def audit(self, days: str = "startDate=2026-04-01&endDate=2026-12-31") -> list[Document]:
        found: list[Document] = (await self.get(f"/v1/auditrecords?{days}"))["items"]
        return found

    async def settled(self) -> None:
        """All webhooks on their way have arrived or failed for good."""
        await self.simulator.shop.notifications.deliveries.settle()


@asynccontextmanager
async def signed_in(world: World) -> AsyncIterator[Partner]:
    """Simulators of this world from start to end, without a seed."""
    board: Switchboard = create_app(world, names=["partner_center"])
    simulator = board.simulators[0]
    assert isinstance(simulator, PartnerCenter)
    transport = httpx.ASGITransport(app=board)
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        yield Partner(http, simulator)
    assert [v for v in simulator.violations if v.side == "simulator"] == []
    await board.aclose()
