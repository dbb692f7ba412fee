"""The time zone of the database is nobody's business."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from rating.main import assemble
from rating.settings import RatingSettings
from shared.kernel.clock import FrozenClock
from support.harness import opened
from support.in_process import in_process
from support.rating_facts import (
    PREMIUM,
    PREMIUM_MONTHLY,
    alder_changes,
    contract,
    cycle_closed,
    sheet,
)
from support.rating_service import current, tell
from support.servers import FreshDatabase, ServiceDatabase

NOW = datetime(2026, 5, 2, 0, 30, tzinfo=UTC)


async def _charges(made: ServiceDatabase, zone: str) -> dict[str, Any]:
    admin = await asyncpg.connect(made.admin_dsn)
    await admin.execute(f"ALTER DATABASE {made.name} SET timezone TO '{zone}'")
    await admin.close()
    clock = FrozenClock(NOW)
    settings = RatingSettings.model_validate(
        {"DATABASE_URL": made.app_dsn, "KAFKA_BOOTSTRAP_SERVERS": "unused"}
    )
    async with (
        opened(made.app_dsn, "rating", clock=clock) as database,
        in_process(assemble(settings, database, clock), clock) as rating,
    ):
        prices = sheet([(PREMIUM, "18.04", "22.55"), (PREMIUM_MONTHLY, "21.65", "27.06")])
        facts = [prices, contract(), *alder_changes(), cycle_closed(contract(), "2026-05-01")]
        await tell(rating, facts)
        return {name: c.model_dump(mode="json") for name, c in (await current(rating)).items()}


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
async def test_db_and_host_tz_irrelevant(fresh_database: FreshDatabase, zone: str) -> None:
    """The same charges, byte for byte, from a database that lives elsewhere."""
    at_home = await _charges(await fresh_database("rating"), "UTC")
    elsewhere = await _charges(await fresh_database("rating"), zone)

    assert at_home == elsewhere
    assert len(at_home) == 4
