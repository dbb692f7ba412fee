"""A preview says what a push would write, and writes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from support.psa_facts import alder_may, change, elm_changes, invoice, recurring
from support.psa_world import CREDENTIALS, PsaWorld

INVOICE = "/v1/previews/invoices/ALD-0002"


async def told(world: PsaWorld, path: str, **query: Any) -> list[tuple[str, str]]:
    rows = (await world.psa.ok("GET", path, params=query))["data"]
    return [(row["action"], row["reason"]) for row in rows]


async def paused(world: PsaWorld) -> None:
    """Facts are planned but nothing goes out: only the planning job runs in these tests."""
    await world.alder()
    await world.psa.harness.deliver(alder_may())
    await world.psa.work("plan_sources")


async def test_an_invoice_is_previewed_line_by_line_g6(world: PsaWorld) -> None:
    """Five creations; the PSA has none of them afterwards and saw no write."""
    await paused(world)

    answer = await world.psa.ok("GET", INVOICE)

    assert answer["actions"] == {"create": 5, "update": 0, "nothing": 0, "blocked": 0}
    assert answer["data"][0]["operation"]["unit_price"] == "22.55"
    assert await world.vendors.additions() == []
    assert await world.vendors.calls("connectwise", "POST|PATCH|PUT|DELETE", "/additions") == []
    assert {row["state"] for row in await world.intents()} == {"planned"}


async def test_what_is_delivered_is_nothing_to_do_g2(world: PsaWorld) -> None:
    """And the contract has nothing left."""
    await world.alder()
    await world.deliver(alder_may())

    assert await told(world, INVOICE) == [("nothing", "delivered")] * 5
    assert await told(world, "/v1/previews/contracts/ALD-1") == []


async def test_a_record_that_arrived_unseen_is_nothing_to_do_g2(world: PsaWorld) -> None:
    """The restored ledger knows nothing; the PSA does."""
    await world.alder()
    await world.deliver(alder_may())
    async with world.psa.service.database.transaction() as tx:
        await tx.execute("UPDATE intent SET state = 'planned', external_id = NULL")

    assert await told(world, INVOICE) == [("nothing", "there")] * 5


async def test_a_later_invoice_closes_and_creates_c4(world: PsaWorld) -> None:
    """Open lines get their last day, then successors come."""
    await world.alder()
    await world.deliver(alder_may())
    june = invoice("ALD-0003", "2026-06-01", recurring(1, 43, "22.55"))
    await world.psa.harness.deliver(june)

    assert (await told(world, "/v1/previews/invoices/ALD-0003"))[:3] == [
        ("update", "missing"),
        ("update", "missing"),
        ("create", "missing"),
    ]


@pytest.mark.parametrize(
    ("state", "first", "second"),
    [
        ("rejected", ("blocked", "vendor_refused"), ("create", "after_another")),
        ("drifted", ("blocked", "vendor_refused"), ("create", "after_another")),
        ("unknown", ("nothing", "under_way"), ("create", "missing")),
    ],
)
async def test_what_waits_or_is_under_way_is_told_g6(
    world: PsaWorld, state: str, first: tuple[str, str], second: tuple[str, str]
) -> None:
    """A stuck line says why, and what is behind it does not go out before it."""
    await paused(world)
    async with world.psa.service.database.transaction() as tx:
        await tx.execute(
            "UPDATE intent SET state = $1, reason = 'vendor_refused', detail = 'no' "
            "WHERE source_id = 'ALD-0002/1'",
            state,
        )

    assert (await told(world, INVOICE))[:2] == [first, second]


async def test_an_unmapped_contract_is_one_blocked_line_g5(world: PsaWorld) -> None:
    """By the id of the invoice as well as by its number."""
    await world.psa.harness.deliver(alder_may())

    assert await told(world, INVOICE) == [("blocked", "unmapped_company")]
    assert await told(world, "/v1/previews/invoices/id-ALD-0002") == [
        ("blocked", "unmapped_company")
    ]
    await world.map_contract("ALD-1", None)
    assert await told(world, "/v1/previews/contracts/ALD-1") == [("nothing", "no_psa")]


async def test_an_unmapped_product_blocks_and_says_so_g6(world: PsaWorld) -> None:
    """The others are blocked by it."""
    body = {
        "vendor": "connectwise",
        "base_url": f"{world.vendors.url}/connectwise",
        "credentials": CREDENTIALS["connectwise"],
    }
    await world.psa.ok("PUT", "/v1/connections/connectwise", json=body)
    await world.map_contract("ALD-1", "connectwise", "250", "7001")
    await world.psa.harness.deliver(alder_may())

    reasons = [reason for _, reason in await told(world, INVOICE)]
    assert reasons == ["unmapped_product"] * 5


async def test_preflight_is_part_of_a_preview_c1(world: PsaWorld) -> None:
    """An agreement that prorates would compute money a second time."""
    await paused(world)
    flag = {"kind": "agreement", "id": 7001, "set": {"prorateFlag": True}}
    await world.vendors.control("connectwise", "POST", "/edit", flag)

    assert await told(world, INVOICE) == [("blocked", "agreement_prorates")] * 5


async def test_licence_changes_are_previewed_in_order_a2(world: PsaWorld) -> None:
    """Only the first change of a subscription can be looked at; the second one follows it."""
    await world.elm()
    await world.psa.harness.deliver(elm_changes()[0])
    await world.psa.harness.deliver(change("next", 22, 25, "2026-06-20"))

    answer = await world.psa.ok("GET", "/v1/previews/contracts/ELM-1")

    assert [(row["action"], row["detail"]) for row in answer["data"]] == [
        ("update", "-8 units on 2026-06-09"),
        ("update", "after an earlier change of this subscription"),
    ]
    assert await world.vendors.units() == {"9001": 0}


async def test_a_long_preview_comes_in_pages(world: PsaWorld) -> None:
    """Every line costs a call, so only the wanted ones are looked at."""
    await paused(world)

    first = await world.psa.ok("GET", INVOICE, params={"limit": 3})
    second = await world.psa.ok("GET", INVOICE, params={"limit": 3, "cursor": first["next_cursor"]})

    assert [len(first["data"]), len(second["data"])] == [3, 2]
    assert second["next_cursor"] is None


async def test_an_invoice_nobody_sent_is_not_found(world: PsaWorld) -> None:
    """Drafts and typos."""
    answer = await world.psa.http.get(INVOICE)
    assert (answer.status_code, answer.json()["code"]) == (404, "invoice_unknown")
