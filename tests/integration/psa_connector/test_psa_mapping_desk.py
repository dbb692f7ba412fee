"""Mappings suggested from names, confirmed by a person, exported and imported as a sheet."""

from __future__ import annotations

from typing import Any

from support.psa_facts import account, alder_may, contract
from support.psa_world import CONNECTWISE_SEED, CREDENTIALS, PsaWorld

SUGGEST = "/v1/mappings/suggestions"
HEAD = "kind,connection_id,key,company_id,target_id,external_id,name"


async def suggested(world: PsaWorld, vendor: str = "connectwise") -> dict[str, Any]:
    answer = await world.psa.ok("GET", SUGGEST, params={"connection_id": vendor})
    return {row["key"]: row for row in answer["data"]} | {"without": answer["without"]}


async def known(world: PsaWorld) -> None:
    """The connection, without products, and what invoicing tells of Alder and Oak."""
    await world.connect("connectwise")
    await world.deliver(
        account("alder", "Alder Dental Inc."),
        contract("ALD-1", "alder"),
        account("oak", "Oak Joinery"),
        contract("OAK-1", "oak"),
    )


async def test_contracts_are_suggested_before_the_first_push_g5(world: PsaWorld) -> None:
    """From names that invoicing published; what nothing fits is named."""
    await known(world)

    found = await suggested(world)

    alder = found["ALD-1"]
    assert (alder["company_id"], alder["target_id"]) == ("250", "7001")
    assert (alder["confidence"], alder["name"]) == (100, "Alder Dental Inc.")
    assert found["without"] == ["OAK-1"]
    assert (await world.psa.ok("GET", "/v1/mappings/contracts"))["data"] == []


async def test_a_confirmed_suggestion_is_a_mapping_and_releases_the_push_g5(
    world: PsaWorld,
) -> None:
    """Nothing is written before the yes; after it, what waited goes out."""
    await known(world)
    await world.deliver(alder_may())
    assert await world.vendors.additions() == []

    id = (await suggested(world))["ALD-1"]["id"]
    await world.psa.ok("POST", f"{SUGGEST}/{id}:confirm")
    await world.psa.work()

    assert len(await world.vendors.additions()) == 5
    assert "ALD-1" not in await suggested(world)
    async with world.psa.service.database.read() as reader:
        actions = [row["action"] for row in await reader.fetch("SELECT action FROM audit")]
    assert {"mapping.contract-put", "mapping.suggestion-confirmed"} <= set(actions)


async def test_products_are_suggested_by_key_from_what_waits_c6(world: PsaWorld) -> None:
    """The catalog item that carries our key; what has no likeness is named."""
    catalog = [
        {**item, "integrationXRef": "onboarding", "description": "First week"}
        if item["id"] == 503
        else item
        for item in CONNECTWISE_SEED["catalog"]
    ]
    await world.vendors.seed("connectwise", {**CONNECTWISE_SEED, "catalog": catalog})
    body = {
        "vendor": "connectwise",
        "base_url": f"{world.vendors.url}/connectwise",
        "credentials": CREDENTIALS["connectwise"],
    }
    await world.psa.ok("PUT", "/v1/connections/connectwise", json=body)
    await world.map_contract("ALD-1", "connectwise", "250", "7001")
    await world.deliver(alder_may())

    found = await suggested(world)
    await world.psa.ok("POST", f"{SUGGEST}/{found['onboarding']['id']}:confirm")

    assert (found["onboarding"]["external_id"], found["onboarding"]["confidence"]) == ("503", 100)
    assert len(found["without"]) == 2
    products = (await world.psa.ok("GET", "/v1/mappings/products"))["data"]
    assert [(row["product_key"], row["external_id"]) for row in products] == [("onboarding", "503")]


async def test_autotask_suggests_services_and_products_a6(world: PsaWorld) -> None:
    """A contract by its name, on the company of its account."""
    await world.connect("autotask")
    await world.deliver(account("elm", "Elm Legal", "AUD"), contract("ELM-1", "elm", "AUD"))

    found = (await suggested(world, "autotask"))["ELM-1"]

    assert (found["company_id"], found["target_id"], found["confidence"]) == ("175", "29", 100)


async def test_a_stale_suggestion_is_refused_g5(world: PsaWorld) -> None:
    """The agreement is gone, or somebody mapped it meanwhile."""
    await known(world)
    id = (await suggested(world))["ALD-1"]["id"]
    await world.map_contract("ALD-1", "connectwise", "251", "7002")
    taken = await world.psa.http.post(f"{SUGGEST}/{id}:confirm")
    gone = {"kind": "agreement", "id": 7001, "delete": True}
    await world.vendors.control("connectwise", "POST", "/edit", gone)
    stale = await world.psa.http.post(f"{SUGGEST}/{id}:confirm")
    forged = await world.psa.http.post(f"{SUGGEST}/WzFd:confirm")

    assert (taken.status_code, taken.json()["code"]) == (409, "already_mapped")
    assert (stale.status_code, stale.json()["code"]) == (409, "suggestion_stale")
    assert forged.status_code == 422


async def test_a_psa_that_says_no_is_an_answer_not_a_crash_g8(world: PsaWorld) -> None:
    """Refused credentials and an unknown connection."""
    await known(world)
    await world.vendors.control("connectwise", "PATCH", "/tenant", {"private_key": "changed"})
    denied = await world.psa.http.get(SUGGEST, params={"connection_id": "connectwise"})
    nobody = await world.psa.http.get(SUGGEST, params={"connection_id": "nobody"})

    assert (denied.status_code, denied.json()["code"]) == (409, "psa_denied")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "connection_unknown")


async def take_in(world: PsaWorld, text: str, **query: Any) -> Any:
    return await world.psa.ok(
        "POST", "/v1/mappings/import", content=text.encode(), params=query,
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip


async def test_what_is_exported_can_be_imported_g5(world: PsaWorld) -> None:
    """And changes nothing; names are there for the reader."""
    await world.alder()
    await world.map_contract("OAK-1", None)
    await world.deliver(account("alder", "Alder Dental"), contract("ALD-1", "alder"))

    sheet = (await world.psa.http.get("/v1/mappings/export.csv")).text
    report = await take_in(world, sheet)

    assert sheet.splitlines()[:3] == [
        HEAD,
        "contract,connectwise,ALD-1,250,7001,,Alder Dental",
        "contract,,OAK-1,,,,goes to no PSA",
    ]
    assert (report["applied"], report["changes"], report["errors"]) == (True, [], [])


async def test_a_dry_run_changes_nothing_and_says_what_would_g5(world: PsaWorld) -> None:
    """Line by line, before and after; the same sheet for real then does exactly that."""
    await world.alder()
    sheet = f"{HEAD}\ncontract,connectwise,ALD-1,251,7002,,\nproduct,connectwise,new,,,501,\n"

    dry = await take_in(world, sheet, dry_run=True)
    between = (await world.psa.ok("GET", "/v1/mappings/contracts"))["data"]
    wet = await take_in(world, sheet)
    after = (await world.psa.ok("GET", "/v1/mappings/contracts"))["data"]

    assert [(c["line"], c["before"], c["after"]) for c in dry["changes"]] == [
        (2, "connectwise: 250 / 7001", "connectwise: 251 / 7002"),
        (3, None, "501"),
    ]
    assert (dry["applied"], between[0]["company_id"]) == (False, "250")
    assert (wet["applied"], after[0]["company_id"]) == (True, "251")


async def test_one_wrong_line_changes_nothing_g5(world: PsaWorld) -> None:
    """Every wrong line is told; the right ones wait for it."""
    await world.alder()
    sheet = f"{HEAD}\ncontract,connectwise,NEW,250,7001,,\ncontract,x,B,1,2,,\nnonsense,,C,,,,\n"

    report = await take_in(world, sheet)

    assert report["applied"] is False
    assert [(e["line"], e["code"]) for e in report["errors"]] == [
        (3, "connection_unknown"),
        (4, "kind_unknown"),
    ]
    rows = (await world.psa.ok("GET", "/v1/mappings/contracts"))["data"]
    assert [row["contract_id"] for row in rows] == ["ALD-1"]
