"""The runtime on a database of its own: any service's schema has its tables; tax has few others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from shared.kernel.clock import FrozenClock
from shared.runtime.postgres import Database
from support.harness import START, opened
from support.servers import FreshDatabase, ServiceDatabase

SERVICE = "tax"


@pytest.fixture
async def made(fresh_database: FreshDatabase) -> ServiceDatabase:
    return await fresh_database(SERVICE)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(START)


@pytest.fixture
async def database(made: ServiceDatabase, clock: FrozenClock) -> AsyncIterator[Database]:
    async with opened(made.app_dsn, SERVICE, clock=clock) as handle:
        yield handle


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Errors are provoked here; rendering their tracebacks would take seconds each."""
    with capture_logs():
        yield
