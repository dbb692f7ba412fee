"""Connections, mappings, intents and holds over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from psa_connector.api.connections import require_allowed
from shared.kernel.clock import FrozenClock
from shared.kernel.errors import Invalid
from shared.runtime.sealing import new_key
from support.harness import opened
from support.in_process import in_process
from support.psa_facts import alder_may, change
from support.psa_world import CREDENTIALS, NOW, PsaWorld, Replica
from support.servers import ServiceDatabase

HOSTS = ("myconnectwise.net", "autotask.net", "127.0.0.1")


def connection(world: PsaWorld, **changes: Any) -> dict[str, Any]:
    body = {
        "vendor": "connectwise",
        "base_url": f"{world.vendors.url}/connectwise",
        "credentials": CREDENTIALS["connectwise"],
    }
    return body | changes


async def test_credentials_are_set_and_never_shown_g8(world: PsaWorld) -> None:
    """Not in answers, not in the audit trail, not in the words of an intent."""
    shown = await world.psa.ok("PUT", "/v1/connections/cw", json=connection(world))
    await world.map_contract("ALD-1", "cw", "250", "7001")
    await world.deliver(alder_may())

    assert shown["credentials"] == dict.fromkeys(sorted(CREDENTIALS["connectwise"]), "set")
    assert (await world.psa.ok("GET", "/v1/connections/cw")) == shown
    listed = await world.psa.http.get("/v1/connections")
    async with world.psa.service.database.read() as reader:
        trail = [dict(row) for row in await reader.fetch("SELECT * FROM audit")]
        events = [dict(row) for row in await reader.fetch("SELECT * FROM outbox")]
    everything = f"{listed.text} {trail} {events} {await world.intents()}"
    assert [s for s in CREDENTIALS["connectwise"].values() if s in everything] == ["tieout"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"vendor": "halo"}, 422, "vendor_unknown"),
        ({"credentials": {"company_id": "x"}}, 422, "credentials_incomplete"),
        ({"base_url": "https://evil.example/"}, 422, "base_url_not_allowed"),
        ({"settings": {"tax_mode": "both"}}, 422, "request_invalid"),
        ({"settings": {"colour": "red"}}, 422, "request_invalid"),
        ({"settings": {"ui_base_url": "http://evil.example"}}, 422, "base_url_not_allowed"),
    ],
)
async def test_a_connection_that_makes_no_sense_is_refused(
    world: PsaWorld, changes: dict[str, Any], status: int, code: str
) -> None:
    """Unknown vendors, missing credentials, foreign hosts, unknown settings."""
    answer = await world.psa.http.put("/v1/connections/cw", json=connection(world, **changes))

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "url",
    [
        "http://api-na.myconnectwise.net",  # not over TLS
        "https://myconnectwise.net.evil.example",
        "https://notmyconnectwise.net",
        "https://user@api-na.myconnectwise.net",
        "https://api-na.myconnectwise.net/?to=evil",
        "ftp://127.0.0.1/",
        "https:///",
    ],
)
def test_credentials_go_to_known_hosts_only_g8(url: str) -> None:
    """By whole name parts, over TLS."""
    with pytest.raises(Invalid):
        require_allowed(url, HOSTS)


def test_known_hosts_are_allowed() -> None:
    """The vendors' own, and this machine for simulators."""
    for url in ("https://api-na.myconnectwise.net", "http://127.0.0.1:47003/autotask"):
        require_allowed(url, HOSTS)


async def test_a_connection_keeps_its_vendor(world: PsaWorld) -> None:
    """Keys and ids of one vendor mean nothing to another."""
    await world.psa.ok("PUT", "/v1/connections/main", json=connection(world))
    other = {"vendor": "autotask", "credentials": CREDENTIALS["autotask"]}

    answer = await world.psa.http.put("/v1/connections/main", json=connection(world, **other))

    assert (answer.status_code, answer.json()["code"]) == (409, "connection_vendor_fixed")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"connection_id": "nowhere", "company_id": "1", "target_id": "2"}, 404,
         "connection_unknown"),
        ({"connection_id": None, "company_id": "1"}, 422, "mapping_incomplete"),
        ({"connection_id": "cw", "company_id": "1", "target_id": "7/../8"}, 422,
         "request_invalid"),
        ({}, 422, "request_invalid"),
    ],
)  # fmt: skip
async def test_a_mapping_that_leads_nowhere_is_refused_g5(
    world: PsaWorld, body: dict[str, Any], status: int, code: str
) -> None:
    """Ids go into the vendor's paths: nothing else may."""
    answer = await world.psa.http.put("/v1/mappings/contracts/ALD-1", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_mappings_are_listed_page_by_page(world: PsaWorld) -> None:
    """Contracts by id, products by connection and key."""
    await world.alder()
    await world.map_contract("ASH-1", "connectwise", "251", "7002")

    first = await world.psa.ok("GET", "/v1/mappings/contracts?limit=1")
    second = await world.psa.ok(
        "GET", f"/v1/mappings/contracts?limit=1&cursor={first['next_cursor']}"
    )
    products = await world.psa.ok("GET", "/v1/mappings/products?limit=2")
    more = await world.psa.ok(
        "GET", f"/v1/mappings/products?limit=2&cursor={products['next_cursor']}"
    )

    assert [row["contract_id"] for row in first["data"] + second["data"]] == ["ALD-1", "ASH-1"]
    assert len(products["data"] + more["data"]) == 3
    assert more["next_cursor"] is None


async def test_intents_are_found_by_invoice_line_and_state(world: PsaWorld) -> None:
    """An invoice number finds its lines; pages follow plan order."""
    await world.alder()
    await world.deliver(alder_may())

    by_invoice = await world.intents(source_id="ALD-0002")
    by_line = await world.intents(source_id="ALD-0002/3")
    page = await world.psa.ok("GET", "/v1/intents?limit=3")
    rest = await world.psa.ok("GET", f"/v1/intents?limit=3&cursor={page['next_cursor']}")

    assert [row["source_id"] for row in by_invoice] == [f"ALD-0002/{n}" for n in range(1, 6)]
    assert by_line == [by_invoice[2]]
    assert page["data"] + rest["data"] == by_invoice
    assert await world.intents(state="blocked") == []
    assert by_line[0]["operation"]["unit_price"] == "63.89"
    one = await world.psa.ok("GET", f"/v1/intents/{by_line[0]['id']}")
    assert one == by_line[0]


async def test_only_what_waits_can_be_retried(world: PsaWorld) -> None:
    """A confirmed intent is left alone; an unknown id is not found."""
    await world.alder()
    await world.deliver(alder_may())
    (first, *_) = await world.intents()

    refused = await world.psa.http.post(f"/v1/intents/{first['id']}:retry")
    unknown = await world.psa.http.post("/v1/intents/nobody:retry")

    assert (refused.status_code, refused.json()["code"]) == (409, "intent_not_waiting")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "intent_unknown")


async def test_a_retry_without_a_repair_blocks_again_g5(world: PsaWorld) -> None:
    """Same key, same reason, one hold."""
    await world.connect("autotask")
    await world.map_contract("ELM-1", "autotask", "175", "29")
    strange = change("c1", 30, 22, "2026-06-09", product_key="nobody-mapped-this")
    await world.deliver(strange)
    (before,) = await world.intents()

    await world.psa.ok("POST", f"/v1/intents/{before['id']}:retry")
    await world.psa.work()

    (after,) = await world.intents()
    assert (after["state"], after["key"]) == ("blocked", before["key"])
    assert await world.holds() == [("unmapped_product", "intent/c1")]


async def test_holds_have_the_shape_of_all_services(world: PsaWorld) -> None:
    """id, reason, detail, object, since, key."""
    await world.deliver(alder_may())

    answer = await world.psa.ok("GET", "/v1/holds")

    (hold,) = answer["data"]
    assert set(hold) == {"id", "reason", "detail", "object", "since", "key"}
    assert (hold["reason"], hold["key"]) == ("unmapped_company", "ALD-1")
    assert answer["next_cursor"] is None


async def test_each_route_needs_its_scope(world: PsaWorld) -> None:
    """Reading is not mapping, mapping is not connecting."""
    async with in_process(world.psa.service, world.psa.clock, scopes="billing:operate") as caller:
        connect = await caller.http.put("/v1/connections/cw", json=connection(world))
        mapping = await caller.http.put("/v1/mappings/contracts/X", json={"connection_id": None})
    async with in_process(world.psa.service, world.psa.clock, scopes="billing:read") as caller:
        refused = await caller.http.put("/v1/mappings/contracts/X", json={"connection_id": None})
        read = await caller.http.get("/v1/holds")

    statuses = [answer.status_code for answer in (connect, mapping, refused, read)]
    assert statuses == [403, 200, 403, 200]


async def test_moving_a_blocked_contract_takes_its_lines_along_g5(world: PsaWorld) -> None:
    """Nothing had started: the old plan is superseded, the new place gets everything."""
    await world.connect("connectwise")
    await world.map_contract("ALD-1", "connectwise", "250", "999")
    await world.deliver(alder_may())
    assert await world.holds() == [("unmapped_agreement", "intent/ALD-0002/1")]

    await world.map_contract("ALD-1", "connectwise", "250", "7001")
    await world.psa.work()

    assert await world.states() == ["confirmed"] * 5
    assert len(await world.vendors.additions()) == 5


async def test_moving_to_another_connection_and_back_delivers_once_g2(world: PsaWorld) -> None:
    """Planned for one, superseded, planned again with the first keys."""
    await world.connect("connectwise")
    await world.psa.ok("PUT", "/v1/connections/other", json=connection(world))
    await world.map_contract("ALD-1", "connectwise", "250", "999")
    await world.deliver(alder_may())
    await world.map_contract("ALD-1", "other", "250", "7001")
    await world.psa.work()
    moved = await world.intents(state="blocked")
    await world.map_contract("ALD-1", "connectwise", "250", "7001")
    await world.psa.work()

    assert {row["connection_id"] for row in moved} == {"other"}
    confirmed = await world.intents(state="confirmed")
    assert [row["connection_id"] for row in confirmed] == ["connectwise"] * 5
    assert len(await world.vendors.additions()) == 5


async def test_credentials_are_stored_sealed_g8(world: PsaWorld, made: ServiceDatabase) -> None:
    """Who reads the table, or a backup of it, cannot use them."""
    await world.connect("connectwise")

    async with (
        opened(made.app_dsn, "psa-connector", clock=FrozenClock(NOW)) as database,
        database.read() as reader,
    ):
        stored = await reader.fetchval("SELECT credentials::text FROM connection")

    assert all(f'"{name}"' in stored for name in CREDENTIALS["connectwise"])
    assert not [secret for secret in CREDENTIALS["connectwise"].values() if secret in stored]


async def test_a_key_that_is_gone_stops_the_connection_with_words(replica: Replica) -> None:
    """Putting the connection again is what helps, and it says so."""
    async with replica() as before:
        await before.alder()
    async with replica(psa_connector_credentials_keys=new_key()) as world:
        await world.deliver(alder_may())
        assert await world.holds() == [("credentials_refused", "connection/connectwise")]

        await world.connect("connectwise")
        await world.until_states(*["confirmed"] * len(await world.states()))
