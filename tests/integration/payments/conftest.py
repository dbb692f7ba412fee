"""The payments service on a database of its own, with a simulated Stripe account beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.servers import FreshDatabase
from support.stripe_account import Collection, collection


@pytest.fixture
async def world(fresh_database: FreshDatabase) -> AsyncIterator[Collection]:
    made = await fresh_database("payments")
    async with collection(made.app_dsn) as both:
        yield both
