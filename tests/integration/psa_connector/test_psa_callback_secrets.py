"""Secrets of ConnectWise's callbacks: what counts as one, and whose turn it is to fetch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from psa_connector.clients.connectwise.callbacks import SigningKeys
from psa_connector.clients.psa import Timing, Unavailable
from psa_connector.domain.connection import Connection
from support.psa_world import Simulators


@pytest.fixture
async def keys() -> AsyncIterator[SigningKeys]:
    found = SigningKeys(Timing(), between_fetches_s=60.0)
    yield found
    await found.close()


def of(vendors: Simulators, id: str = "cw") -> tuple[Connection, str]:
    base_url = f"{vendors.url}/connectwise"
    connection = Connection(id, "connectwise", base_url, credentials={}, settings={}, version=1)
    return connection, f"{base_url}/callback-keys/1"


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "html_body", "status": 200},
        {"kind": "status", "status": 200, "body": {"key": "public"}},
        {"kind": "status", "status": 200, "body": {"signing_key": 7}},
    ],
)
async def test_only_a_signing_key_is_a_secret_g8(
    vendors: Simulators, keys: SigningKeys, answer: dict[str, Any]
) -> None:
    """Whoever posts names the address: the text of a public page must not sign anything."""
    await vendors.fault("connectwise", "GET", "/callback-keys/1", **answer)
    with pytest.raises(Unavailable):
        await keys.of(*of(vendors))


async def test_a_stranger_uses_up_the_turns_of_one_connection_g8(
    vendors: Simulators, keys: SigningKeys
) -> None:
    """Another connection's first callback is proved meanwhile."""
    mine, url = of(vendors)
    await keys.of(mine, f"{mine.base_url}/callback-keys/9")
    with pytest.raises(Unavailable):
        await keys.of(mine, url)
    assert await keys.of(*of(vendors, "other")) == "sim-callback-secret"
