"""Ingest on a database of its own, against the simulated Partner Center, webhooks included."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.main import assemble
from ingest.settings import IngestSettings
from shared.contracts.ingest import SubscriptionChanged
from shared.kernel.clock import FrozenClock
from shared.runtime.http import HttpClient
from simulators.app import create_app
from simulators.frame import World
from simulators.partner_center import PartnerCenter
from support.harness import opened
from support.in_process import InProcess, in_process
from support.partner_center import BIRCH, SEED, TENANT, Partner
from support.servers import FreshDatabase

E5 = {"product_id": "CFQ7TTC0LFLX", "sku_id": "0001"}
PATH = {"from_product_id": "CFQ7TTC0LDPB", **E5, "title": "Microsoft 365 E5"}
THREE_YEARS = "cccccccc-0000-4000-8000-000000000003"
LONG = {"id": THREE_YEARS, "customer_id": BIRCH, "product_id": "CFQ7TTC0LDPB", "name": "BP",
        "term": "P3Y", "billing_plan": "monthly", "term_start": "2025-04-20",
        "quantity": 100}  # fmt: skip
CALLBACK = "http://ingest/webhooks/partner-center"


@dataclass
class Scene:
    """A partner's program (the service under test) and the provider it works with."""

    ingest: InProcess
    partner: Partner
    clock: FrozenClock

    async def register(self) -> None:
        await self.ingest.ok("POST", "/v1/webhook-registrations", json={"callback_url": CALLBACK})

    async def sync(self) -> dict[str, Any]:
        """A whole sync; the row that tells of it."""
        made = await self.ingest.ok("POST", "/v1/syncs", json={})
        await self.ingest.work()
        row: dict[str, Any] = await self.ingest.ok("GET", f"/v1/syncs/{made['id']}")
        return row

    async def settle(self) -> None:
        """Webhooks have arrived and been acted upon."""
        await self.partner.settled()
        await self.ingest.work()

    async def at(self, instant: str) -> None:
        self.clock.set(datetime.fromisoformat(instant).astimezone(UTC))

    async def change(self, subscription: str, **wish: Any) -> httpx.Response:
        """Somebody changes a subscription in the provider's portal."""
        body = {"subscription_id": subscription, **wish}
        return await self.partner.lever("POST", "/changes", body)

    async def changes(self, *, after: int = 0) -> list[SubscriptionChanged]:
        return await self.ingest.harness.published(SubscriptionChanged, after=after)

    async def audit(self, action: str) -> list[dict[str, Any]]:
        sql = "SELECT * FROM audit WHERE action = $1 ORDER BY seq"
        async with self.ingest.service.database.read() as reader:
            return [dict(row) for row in await reader.fetch(sql, action)]

    async def fetch(self, sql: str, *args: object) -> list[dict[str, Any]]:
        async with self.ingest.service.database.read() as reader:
            return [dict(row) for row in await reader.fetch(sql, *args)]

    async def execute(self, sql: str, *args: object) -> None:
        async with self.ingest.service.database.transaction() as tx:
            await tx.execute(sql, *args)


@pytest.fixture(scope="session")
def provider_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("provider-keys")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 4, 14, 9, 12, tzinfo=UTC))


class _Later:
    """An application that is known only after others have been told its address."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def settings_for(dsn: str, keys: Path, **others: Any) -> IngestSettings:
    given: Mapping[str, Any] = {
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": "unused",
        "ingest_tenant_id": TENANT,
        "ingest_client_id": "tieout",
        "ingest_client_secret": "s3cret",
        "ingest_refresh_token": "vaulted",
        "ingest_partner_center_url": "http://sim/partner-center",
        "ingest_graph_url": "http://sim/graph",
        "ingest_login_url": "http://sim/login",
        "ingest_blob_hosts": "sim",
        "ingest_allow_http": True,
        "ingest_webhook_certificate_hosts": "sim",
        "ingest_webhook_root_file": keys / "webhook-root.pem",
        "ingest_settle_wait_s": 0,
        "ingest_chunk_lines": 4,
        **others,
    }
    return IngestSettings.model_validate(given)


@asynccontextmanager
async def staged(
    fresh_database: FreshDatabase, keys: Path, clock: FrozenClock, **settings: Any
) -> AsyncIterator[Scene]:
    made = await fresh_database("ingest")
    receiver = _Later()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=receiver)) as outside:
        world = World(clock=clock, base_url="http://sim", key_directory=keys, http=outside)
        board = create_app(world, names=["partner_center"])
        transport = httpx.ASGITransport(app=board)
        simulator = board.simulators[0]
        assert isinstance(simulator, PartnerCenter)
        connect = partial(HttpClient, transport=transport)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://sim") as http,
            opened(made.app_dsn, "ingest", clock=clock) as database,
        ):
            service = assemble(
                settings_for(made.app_dsn, keys, **settings), database, clock, connect=connect
            )
            async with in_process(service, clock) as running:
                receiver.app = running.http._transport.app  # type: ignore[attr-defined]
                partner = Partner(http, simulator)
                await partner.pull("PUT", "/state", SEED)
                await partner.switch(export_retry_after=0)
                try:
                    yield Scene(running, partner, clock)
                finally:
                    await board.aclose()
        assert simulator.violations == []


@pytest.fixture
async def scene(
    fresh_database: FreshDatabase, provider_keys: Path, clock: FrozenClock
) -> AsyncIterator[Scene]:
    async with staged(fresh_database, provider_keys, clock) as made:
        yield made


@pytest.fixture
async def open_shop(scene: Scene) -> Scene:
    """Where orders of every kind can be carried out, mirrored."""
    more = {"upgrade_paths": [PATH], "subscriptions": [LONG]}
    await scene.partner.pull("POST", "/additions", more)
    await scene.sync()
    await scene.register()
    return scene
