"""The rating service on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from rating.main import assemble
from rating.settings import RatingSettings
from shared.kernel.clock import FrozenClock
from support.harness import opened
from support.in_process import InProcess, in_process
from support.servers import FreshDatabase


@pytest.fixture
async def rating(fresh_database: FreshDatabase) -> AsyncIterator[InProcess]:
    made = await fresh_database("rating")
    clock = FrozenClock(datetime(2026, 5, 2, 0, 30, tzinfo=UTC))
    settings = RatingSettings.model_validate(
        {"DATABASE_URL": made.app_dsn, "KAFKA_BOOTSTRAP_SERVERS": "unused"}
    )
    async with (
        opened(made.app_dsn, "rating", clock=clock) as database,
        in_process(assemble(settings, database, clock), clock) as service,
    ):
        yield service
