"""The tax service on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from shared.kernel.clock import FrozenClock
from support.harness import opened
from support.in_process import InProcess, in_process
from support.servers import FreshDatabase
from tax.main import assemble
from tax.settings import TaxSettings


@pytest.fixture
async def tax(fresh_database: FreshDatabase) -> AsyncIterator[InProcess]:
    made = await fresh_database("tax")
    clock = FrozenClock(datetime(2026, 5, 1, 6, tzinfo=UTC))
    settings = TaxSettings.model_validate(
        {"DATABASE_URL": made.app_dsn, "KAFKA_BOOTSTRAP_SERVERS": "unused"}
    )
    async with (
        opened(made.app_dsn, "tax", clock=clock) as database,
        in_process(assemble(settings, database, clock), clock) as service,
    ):
        yield service
