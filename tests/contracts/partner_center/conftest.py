"""A simulated Partner Center in this process, spoken to over ASGI as a partner's program would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from shared.kernel.clock import FrozenClock
from simulators.frame import World
from support.partner_center import SEED, Partner, Receiver, signed_in


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 4, 14, 9, 12, tzinfo=UTC))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def world(clock: FrozenClock, keys: Path, receiver: Receiver) -> AsyncIterator[World]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=receiver)) as outside:
        yield World(clock=clock, base_url="http://sim", key_directory=keys, http=outside)


@pytest.fixture
async def partner(world: World) -> AsyncIterator[Partner]:
    async with signed_in(world) as partner:
        await partner.pull("PUT", "/state", SEED)
        yield partner
