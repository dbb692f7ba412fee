"""The service on a database of its own, between its handlers and two simulated PSAs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared.kernel.clock import FrozenClock
from support.harness import opened
from support.psa_world import NOW, PsaWorld, Replica, Simulators, service, simulators
from support.servers import FreshDatabase, ServiceDatabase


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
async def vendors(clock: FrozenClock) -> AsyncIterator[Simulators]:
    async with simulators(clock) as running:
        yield running
        assert await running.violations() == []


@pytest.fixture
async def made(fresh_database: FreshDatabase) -> ServiceDatabase:
    return await fresh_database("psa-connector")


@pytest.fixture
def replica(made: ServiceDatabase, vendors: Simulators, clock: FrozenClock) -> Replica:
    """Another process of the service on the same database: `async with replica(**settings)`."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[PsaWorld]:
        async with (
            opened(made.app_dsn, "psa-connector", clock=clock) as database,
            service(made.app_dsn, database, clock, **settings) as psa,
        ):
            yield PsaWorld(psa, vendors)

    return start


@pytest.fixture
async def world(replica: Replica) -> AsyncIterator[PsaWorld]:
    async with replica() as running:
        yield running
