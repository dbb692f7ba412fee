"""A simulated Partner Center in this process, spoken to over ASGI as a partner's program would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from shared.kernel.clock import FrozenClock
from simulators.app import create_app
from simulators.frame import Switchboard, World
from simulators.partner_center import PartnerCenter
from support.partner_center import SEED, Partner, Receiver


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
async def partner(clock: FrozenClock, keys: Path, receiver: Receiver) -> AsyncIterator[Partner]:
    outside = httpx.AsyncClient(transport=httpx.ASGITransport(app=receiver))
    world = World(clock=clock, base_url="http://sim", key_directory=keys, http=outside)
    board: Switchboard = create_app(world, names=["partner_center"])
    simulator = board.simulators[0]
    assert isinstance(simulator, PartnerCenter)
    transport = httpx.ASGITransport(app=board)
    async with outside, httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        partner = Partner(http, simulator)
        await partner.pull("PUT", "/state", SEED)
        yield partner
        assert [v for v in simulator.violations if v.side == "simulator"] == []
        await board.aclose()
