"""Preflight of a connection over HTTP, against both vendors."""

from __future__ import annotations

from typing import Any

import pytest

from support.psa_facts import contract
from support.psa_world import AUTOTASK_SEED, PsaWorld


async def report(world: PsaWorld, vendor: str, **query: str) -> dict[tuple[str, str], Any]:
    """By object and code."""
    path = f"/v1/connections/{vendor}/preflight"
    answer = await world.psa.ok("GET", path, params=query)
    found = {(one["object"], one["code"]): one for one in answer["findings"]}
    return found | {("", answer["level"]): answer}


@pytest.mark.parametrize(("vendor", "ours"), [("connectwise", "ALD-1"), ("autotask", "ELM-1")])
async def test_a_sound_connection_is_ready_c1(world: PsaWorld, vendor: str, ours: str) -> None:
    """Rights, products, agreement; the simulated time is far from the vendors' and only a look."""
    await (world.alder() if vendor == "connectwise" else world.elm())

    found = await report(world, vendor)

    assert ("", "warning") in found
    for line in ((f"contract/{ours}", "target_ready"), ("products", "products_ready"),
                 ("clock", "clock_differs")):  # fmt: skip
        assert line in found
    assert await world.vendors.calls(vendor, "PATCH|PUT|DELETE", "") == []


async def test_every_flag_is_found_at_once_c1(world: PsaWorld) -> None:
    """Proration, currency and an inactive product in one report, each with advice."""
    await world.alder()
    await world.deliver(contract("ALD-1", "alder", "EUR"))
    edits: tuple[dict[str, Any], ...] = (
        {"kind": "agreement", "id": 7001, "set": {"prorateFlag": True}},
        {"kind": "catalog", "id": 503, "set": {"inactiveFlag": True}},
        {"kind": "catalog", "id": 502, "set": {"autoUpdateUnitPriceFlag": True}},
    )
    for edit in edits:
        await world.vendors.control("connectwise", "POST", "/edit", edit)

    found = await report(world, "connectwise")

    stops = {key for key, one in found.items() if one["level"] == "blocks" and key[0]}
    assert {code for _, code in stops} == {
        "agreement_prorates", "currency_mismatch", "product_inactive", "product_auto_reprice",
    }  # fmt: skip
    assert all(found[key]["advice"] for key in stops)


async def test_refused_credentials_are_a_finding_g8(world: PsaWorld) -> None:
    """The report is there to say so; the secret is not in it."""
    await world.alder()
    await world.vendors.control("connectwise", "PATCH", "/tenant", {"private_key": "changed"})

    found = await report(world, "connectwise")

    assert ("connection", "credentials_refused") in found
    assert "sim-private" not in str(found)


async def test_a_tenant_that_shows_nothing_lacks_a_right_g5(world: PsaWorld) -> None:
    """Autotask hides instead of refusing."""
    await world.elm()
    seed: dict[str, Any] = AUTOTASK_SEED | {"billing_codes": []}
    await world.vendors.seed("autotask", seed)

    found = await report(world, "autotask", contract_id="ELM-1")

    assert found["BillingCodes", "not_visible_to_us"]["level"] == "blocks"
