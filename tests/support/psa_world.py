"""psa-connector on a real database, facing the simulated PSAs over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import httpx
import uvicorn

from psa_connector.main import assemble
from psa_connector.settings import PsaConnectorSettings
from shared.kernel.clock import FrozenClock
from shared.runtime.postgres import Database
from shared.runtime.sealing import new_key
from simulators.app import create_app
from simulators.exact_json import dumps, loads
from simulators.frame import World
from support.in_process import InProcess, in_process
from support.psa_facts import ANNUAL, E3, E5, MONTHLY

VENDORS = ("connectwise", "autotask")
NOW = datetime(2026, 5, 1, 6, tzinfo=UTC)
AGREEMENT, CONTRACT = "7001", "29"
KEY = new_key()
# Short enough to wait for, long enough for a busy machine.
QUICK: dict[str, Any] = {
    "psa_connector_credentials_keys": KEY,
    "psa_connector_settle_s": 1.0,
    "psa_connector_look_again_s": 0.2,
    "psa_connector_vendor_hosts": "127.0.0.1",  # the simulators
}
IMPATIENT = QUICK | {
    "psa_connector_request_timeout_s": 0.8,
    "psa_connector_lease_s": 2.0,
}

CONNECTWISE_SEED: dict[str, Any] = {
    "companies": [{"id": 250, "name": "Alder Dental"}, {"id": 251, "name": "Ash Dental"}],
    "custom_fields": [{"id": 12, "caption": "BCS Key", "screen": "additions"}],
    "catalog": [
        {"id": 501, "identifier": "BP-A", "price": 25, "cost": 20},
        {"id": 502, "identifier": "BP-M", "price": 30, "cost": 24},
        {"id": 503, "identifier": "ONB", "price": 150, "cost": 0, "taxableFlag": False},
    ],
    "agreements": [
        {"id": 7001, "name": "ALD-1", "company": {"id": 250}, "currency": "USD"},
        {"id": 7002, "name": "ASH-1", "company": {"id": 251}, "currency": "USD"},
    ],
}
AUTOTASK_SEED: dict[str, Any] = {
    "companies": [{"id": 175, "companyName": "Elm Legal"}],
    "billing_codes": [{"id": 5, "name": "Cloud usage", "unitPrice": 9, "unitCost": 4}],
    "products": [{"id": 301, "name": "Azure usage", "isActive": True}],
    "services": [
        {"id": 77, "name": "E3 annual", "unitPrice": "36.80", "unitCost": "30.20"},
        {"id": 78, "name": "E5 annual", "unitPrice": "59.90", "unitCost": "49.10"},
    ],
    "contracts": [
        {
            "id": 29,
            "companyID": 175,
            "contractName": "ELM-1",
            "startDate": "2026-05-12T00:00:00Z",
            "endDate": "2027-05-11T00:00:00Z",
        }
    ],
    "contract_services": [{"id": 9001, "contractID": 29, "serviceID": 77, "units": 30}],
}
CREDENTIALS = {
    "connectwise": {
        "company_id": "tieout",
        "public_key": "sim-public",
        "private_key": "sim-private",
        "client_id": "0c1de9f3-client",
    },
    "autotask": {
        "username": "tieout@msp.example",
        "secret": "sim-secret",
        "integration_code": "SIMINTEGRATION",
    },
}
CONNECTWISE_PRODUCTS = {ANNUAL: "501", MONTHLY: "502", "onboarding": "503"}
AUTOTASK_PRODUCTS = {
    E3: "77",
    E5: "78",
    "kind:usage": "301",
    "kind:minimum": "billing_code:5",
    "kind:purchase": "billing_code:5",
}


@dataclass
class Simulators:
    """The simulated vendors and their levers."""

    url: str
    clock: FrozenClock
    http: httpx.AsyncClient

    async def control(self, vendor: str, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else dumps(body)
        answer = await self.http.request(method, f"/{vendor}/_control{path}", content=content)
        assert answer.is_success, answer.text
        return loads(answer.content) if answer.content else None

    async def seed(self, vendor: str, document: Any) -> None:
        await self.control(vendor, "PUT", "/state", document)

    async def state(self, vendor: str) -> Any:
        return await self.control(vendor, "GET", "/state")

    async def fault(self, vendor: str, method: str, path: str, kind: str, **more: Any) -> None:
        fault = {"match": {"method": method, "path": path}, "kind": kind, "times": 1, **more}
        await self.control(vendor, "POST", "/faults", fault)

    async def heal(self, vendor: str) -> None:
        await self.control(vendor, "DELETE", "/faults")

    async def calls(self, vendor: str, method: str, path: str) -> list[Any]:
        """The calls of a kind that arrived, oldest first."""
        query = httpx.QueryParams({"method": method, "path": path})
        found = await self.control(vendor, "GET", f"/journal?{query}")
        entries: list[Any] = found["entries"]
        return entries

    async def additions(self, agreement: int = 7001) -> list[Any]:
        shown = (await self.state("connectwise"))["addition_views"]
        return [one for one in shown if one["agreementId"] == agreement]

    async def units(self) -> dict[str, int]:
        """Units of today by contract service."""
        today: dict[str, int] = (await self.state("autotask"))["units_today"]
        return today

    async def violations(self) -> list[str]:
        """What our client or the simulator itself did against the vendor's document."""
        found = []
        for vendor in VENDORS:
            listed = await self.control(vendor, "GET", "/violations")
            found += [f"{v['side']}: {v['operation']}: {v['detail']}" for v in listed["violations"]]
        return found


@asynccontextmanager
async def simulators(clock: FrozenClock) -> AsyncIterator[Simulators]:
    """Both vendors on a port of their own, seeded."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    board = create_app(World(clock, url), names=VENDORS)
    config = uvicorn.Config(board, log_level="error", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as http:
        world = Simulators(url, clock, http)
        await world.seed("connectwise", CONNECTWISE_SEED)
        await world.seed("autotask", AUTOTASK_SEED)
        yield world
    server.should_exit = True
    await serving


@dataclass
class PsaWorld:
    """The service and its PSAs."""

    psa: InProcess
    vendors: Simulators

    async def connect(self, vendor: str, **settings: Any) -> None:
        """A connection named like its vendor, with products mapped."""
        body = {
            "vendor": vendor,
            "base_url": f"{self.vendors.url}/{vendor}",
            "credentials": CREDENTIALS[vendor],
            "settings": settings,
        }
        await self.psa.ok("PUT", f"/v1/connections/{vendor}", json=body)
        products = CONNECTWISE_PRODUCTS if vendor == "connectwise" else AUTOTASK_PRODUCTS
        for key, external_id in products.items():
            await self.map_product(vendor, key, external_id)

    async def map_product(self, vendor: str, key: str, external_id: str) -> None:
        body = {"connection_id": vendor, "product_key": key, "external_id": external_id}
        await self.psa.ok("PUT", "/v1/mappings/products", json=body)

    async def map_contract(
        self, contract: str, vendor: str | None, company: str = "", target: str = ""
    ) -> None:
        body: dict[str, Any] = {"connection_id": vendor}
        if vendor is not None:
            body |= {"company_id": company, "target_id": target}
        await self.psa.ok("PUT", f"/v1/mappings/contracts/{contract}", json=body)

    async def alder(self) -> None:
        """Scenario 1's place: an agreement in ConnectWise."""
        await self.connect("connectwise")
        await self.map_contract("ALD-1", "connectwise", "250", AGREEMENT)

    async def elm(self) -> None:
        """Scenario 5's place: a contract in Autotask."""
        await self.connect("autotask")
        await self.map_contract("ELM-1", "autotask", "175", CONTRACT)

    async def deliver(self, *facts: Any) -> None:
        for fact in facts:
            await self.psa.harness.deliver(fact)
        await self.psa.work()

    async def intents(self, **query: str) -> list[Any]:
        rows: list[Any] = (await self.psa.ok("GET", "/v1/intents", params=query))["data"]
        return rows

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.intents(limit="500")]

    async def holds(self) -> list[tuple[str, str]]:
        rows = (await self.psa.ok("GET", "/v1/holds"))["data"]
        return [(row["reason"], row["object"]) for row in rows]

    async def until(self, condition: Callable[[], Any], *, within_s: float = 15.0) -> None:
        """Work until something holds; retries and leases take real time."""
        deadline = monotonic() + within_s
        while not await condition():
            assert monotonic() < deadline, await self.intents()
            await self.psa.work()
            await asyncio.sleep(0.02)

    async def until_states(self, *expected: str, within_s: float = 15.0) -> None:
        async def reached() -> bool:
            return await self.states() == list(expected)

        await self.until(reached, within_s=within_s)


Replica = Callable[..., AbstractAsyncContextManager[PsaWorld]]
"""Starts another process of the service: `async with replica(**settings) as world`."""


@asynccontextmanager
async def service(
    dsn: str, database: Database, clock: FrozenClock, **settings: Any
) -> AsyncIterator[InProcess]:
    """One replica of psa-connector."""
    given = {"DATABASE_URL": dsn, "KAFKA_BOOTSTRAP_SERVERS": "unused", **QUICK, **settings}
    built = assemble(PsaConnectorSettings.model_validate(given), database, clock)
    async with in_process(built, clock) as psa:
        yield psa
