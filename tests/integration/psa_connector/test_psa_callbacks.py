"""ConnectWise's callbacks over HTTP: proved, and then only ever a reason to look."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import httpx
import pytest

from shared.runtime.http import dumps
from support.psa_facts import alder_may
from support.psa_world import PsaWorld

SECRET = "sim-callback-secret"
URL = "/webhooks/connectwise/connectwise?recordId=7001&action=updated"
CALLBACK: dict[str, Any] = {"Action": "updated", "Type": "Agreement", "ID": 7001}


async def callback(
    world: PsaWorld, *, url: str = URL, secret: str = SECRET, key_url: str = "", **changes: Any
) -> httpx.Response:
    """A signed callback as the vendor would send it."""
    address = key_url or f"{world.vendors.url}/connectwise/callback-keys/1"
    body = dumps({**CALLBACK, "Metadata": {"key_url": address}, **changes})
    key = hashlib.sha256(secret.encode()).digest()
    signature = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()
    return await world.psa.http.post(url, content=body, headers={"x-content-signature": signature})


async def repaired(world: PsaWorld) -> None:
    """A push that an agreement's flag held up; the flag is off again, nobody told us."""
    await world.alder()
    await prorate(world, on=True)
    await world.deliver(alder_may())
    assert await world.states() == ["blocked"] * 5
    await prorate(world, on=False)


async def prorate(world: PsaWorld, *, on: bool) -> None:
    edit = {"kind": "agreement", "id": 7001, "set": {"prorateFlag": on}}
    await world.vendors.control("connectwise", "POST", "/edit", edit)


async def test_a_proven_callback_makes_us_look_c1(world: PsaWorld) -> None:
    """What was repaired in the PSA goes out without anybody's retry."""
    await repaired(world)

    answer = await callback(world)
    await world.psa.work()

    assert answer.status_code == 200
    assert await world.states() == ["confirmed"] * 5


async def test_a_callback_only_triggers_a_look_c1(world: PsaWorld) -> None:
    """It may claim what it likes: the agreement is asked, and still prorates."""
    await repaired(world)
    await prorate(world, on=True)

    claims = {"Entity": dumps({"prorateFlag": False}).decode()}
    answer = await callback(world, **claims)
    await world.psa.work()

    assert answer.status_code == 200
    assert await world.states() == ["blocked"] * 5
    assert await world.vendors.additions() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "of somebody else"}, "signature_wrong"),
        ({"key_url": "http://127.0.0.1:9/key"}, "key_url_not_allowed"),
        ({"Type": None}, "callback_invalid"),
        ({"Metadata": {}}, "callback_invalid"),
    ],
)
async def test_a_callback_that_proves_nothing_triggers_nothing_g8(
    world: PsaWorld, changes: dict[str, Any], code: str
) -> None:
    """It leaves a trace on the audit trail, and the push stays where it was."""
    await repaired(world)

    answer = await callback(world, **changes)
    await world.psa.work()

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await world.states() == ["blocked"] * 5
    async with world.psa.service.database.read() as reader:
        actions = [row["action"] for row in await reader.fetch("SELECT action FROM audit")]
    assert "callback.refused" in actions


async def test_an_unsigned_callback_asks_nobody_for_a_secret_g8(world: PsaWorld) -> None:
    """Strangers cannot make us call out without even a signature."""
    await world.alder()
    body = {**CALLBACK, "Metadata": {"key_url": f"{world.vendors.url}/connectwise/callback-keys/1"}}

    answer = await world.psa.http.post(URL, content=dumps(body))

    assert (answer.status_code, answer.json()["code"]) == (400, "signature_missing")
    assert await world.vendors.calls("connectwise", "GET", "/callback-keys/") == []


async def test_a_secret_is_fetched_once_and_not_in_a_hurry_g8(world: PsaWorld) -> None:
    """Known ones are kept; another address right after is asked to come again (429)."""
    await world.alder()
    for _ in range(3):
        assert (await callback(world)).status_code == 200
    other = await callback(world, key_url=f"{world.vendors.url}/connectwise/callback-keys/2")

    assert len(await world.vendors.calls("connectwise", "GET", "/callback-keys/1")) == 1
    assert (other.status_code, other.headers["retry-after"]) == (429, "5")


async def test_callbacks_are_for_connections_of_connectwise(world: PsaWorld) -> None:
    """Autotask has none for contracts."""
    await world.elm()
    for name in ("autotask", "nobody"):
        answer = await callback(world, url=f"/webhooks/connectwise/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "connection_unknown")
