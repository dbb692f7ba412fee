"""The invoicing service on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.invoicing_world import World, invoicing_world
from support.servers import FreshDatabase


@pytest.fixture
async def world(fresh_database: FreshDatabase) -> AsyncIterator[World]:
    made = await fresh_database("invoicing")
    async with invoicing_world(made.app_dsn) as ready:
        yield ready
